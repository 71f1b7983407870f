//! From logins as written to logins that can be used. That a secret is there is not asked here: it need not be on every machine.

use std::collections::BTreeMap;

use super::Site;
use crate::registry::draft;
use crate::registry::login::{ImageLogin, SecretRef};
use crate::registry::read::{At, Field, Map, Reader};
use crate::registry::text::ServerName;
use crate::registry::tree::Trail;

pub(super) fn logins(
    site: &Site<'_>,
    field: &Field<Map<ServerName, draft::ImageLogin>>,
    to: &mut Reader,
) -> BTreeMap<String, ImageLogin> {
    let at = Trail::TOP.key("registries");
    let mut all = BTreeMap::new();
    for named in field.value().into_iter().flat_map(|map| &map.0) {
        let Some(login) = named.field.value() else { continue };
        let password =
            login.password.given().and_then(|from| secret(site, from, &at.key(&named.name).key("password"), to));
        if let (Some(user), Some(password)) = (login.user.value(), password) {
            all.insert(named.name.clone(), ImageLogin { user: user.0.clone(), password });
        }
    }
    all
}

/// Where a secret is found; a fault when that is said in no way, or in two.
pub(super) fn secret(
    site: &Site<'_>,
    from: &At<draft::SecretFrom>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<SecretRef> {
    match (&from.value.env, &from.value.file) {
        (env, Field::Absent) if env.written() => env.value().map(|name| SecretRef::Env(name.0.clone())),
        (Field::Absent, file) if file.written() => file.value().map(|path| SecretRef::File(site.path(&path.0))),
        _ => {
            to.fault(from.place, at, "one of env and file is needed");
            None
        }
    }
}
