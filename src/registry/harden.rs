//! What a unit is cut off from: what a service seldom needs, or what is chosen by name.

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::registry::number::{Choice, Named};
use crate::registry::read::{List, Read, Reader};
use crate::registry::tree::{Node, Scalar, Trail, Value};

/// Something that a unit is cut off from, in the order in which it is written. What each means is told by systemd.exec(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hardening {
    NoNewPrivileges,
    PrivateTmp,
    ProtectSystem,
    ProtectHome,
    ProtectKernel,
    RestrictSuidSgid,
    LockPersonality,
    PrivateDevices,
    RestrictNamespaces,
    RestrictRealtime,
    MemoryDenyWriteExecute,
    NoCapabilities,
    SystemService,
}

impl Hardening {
    /// What `true` stands for: hardly any service misses it.
    pub(crate) const USUAL: [Self; 7] = [
        Self::NoNewPrivileges,
        Self::PrivateTmp,
        Self::ProtectSystem,
        Self::ProtectHome,
        Self::ProtectKernel,
        Self::RestrictSuidSgid,
        Self::LockPersonality,
    ];

    /// Its name in the registry.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| name)
    }

    /// Its lines in a systemd unit.
    #[must_use]
    pub fn lines(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "NoNewPrivileges=yes",
            Self::PrivateTmp => "PrivateTmp=yes",
            Self::ProtectSystem => "ProtectSystem=full",
            Self::ProtectHome => "ProtectHome=read-only",
            Self::ProtectKernel => "ProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectControlGroups=yes",
            Self::RestrictSuidSgid => "RestrictSUIDSGID=yes",
            Self::LockPersonality => "LockPersonality=yes",
            Self::PrivateDevices => "PrivateDevices=yes",
            Self::RestrictNamespaces => "RestrictNamespaces=yes",
            Self::RestrictRealtime => "RestrictRealtime=yes",
            Self::MemoryDenyWriteExecute => "MemoryDenyWriteExecute=yes",
            Self::NoCapabilities => "CapabilityBoundingSet=\nAmbientCapabilities=",
            Self::SystemService => "SystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM",
        }
    }
}

impl Named for Hardening {
    const WHAT: &'static str = "something that a unit can be cut off from";
    const NAMES: &'static [(&'static str, Self)] = &[
        ("no-new-privileges", Self::NoNewPrivileges),
        ("private-tmp", Self::PrivateTmp),
        ("protect-system", Self::ProtectSystem),
        ("protect-home", Self::ProtectHome),
        ("protect-kernel", Self::ProtectKernel),
        ("restrict-suid-sgid", Self::RestrictSuidSgid),
        ("lock-personality", Self::LockPersonality),
        ("private-devices", Self::PrivateDevices),
        ("restrict-namespaces", Self::RestrictNamespaces),
        ("restrict-realtime", Self::RestrictRealtime),
        ("memory-deny-write-execute", Self::MemoryDenyWriteExecute),
        ("no-capabilities", Self::NoCapabilities),
        ("system-service", Self::SystemService),
    ];
}

/// The usual ones, none, or those that are named.
#[derive(Clone, Debug)]
pub(in crate::registry) struct HardenText(pub(in crate::registry) BTreeSet<Hardening>);

impl Read for HardenText {
    fn read(node: &Node, at: &Trail<'_>, to: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Scalar(Scalar::Bool(true), _) => Some(Self(Hardening::USUAL.into())),
            Value::Scalar(Scalar::Bool(false), _) => Some(Self(BTreeSet::new())),
            Value::List(_) => {
                let list = List::<Choice<Hardening>>::read(node, at, to)?;
                Some(Self(list.values().map(|choice| choice.0).collect()))
            }
            _ => {
                to.wrong(node, at, "true, false or a list of names");
                None
            }
        }
    }
}

impl JsonSchema for HardenText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "HardenText".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<List<Choice<Hardening>>>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, named] })
    }
}
