//! Podman by Docker's own command, with what it tells and does otherwise. On a host of its own, as an engine takes the other's place. A login
//! to a registry is left out: Podman signs in by TLS alone, which the lab's registry does not speak.

use std::sync::atomic::AtomicUsize;

use libtest_mimic::{Failed, Trial};

use super::kit::full;
use super::room::Own;
use super::{adopt, containerd, docker, trial};

/// With `PORTOSER_LAB_FULL`, as it takes a host of its own, and packages are fetched to it.
pub fn trials() -> Vec<Trial> {
    let all = vec![trial("containers_live_with_podman", lives)];
    if full() { all } else { Vec::new() }
}

/// Volumes are looked for where Docker keeps them. The rest is the lab's matter, which is no machine: layers cannot lie on those of
/// its own engine, settings of the kernel are read-only, and control groups are of the first version.
const SWITCH: &str = r#"systemctl disable --now docker.socket docker containerd
apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends podman netavark aardvark-dns nftables
mkdir -p /var/lib/docker/podman /var/lib/containers/storage/volumes /etc/containers/containers.conf.d /etc/containers/registries.conf.d
mount --bind /var/lib/docker/podman /var/lib/containers; mount -o remount,rw /proc/sys
printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n' >/etc/containers/containers.conf.d/lab.conf
rm -rf /var/lib/docker/volumes; ln -s /var/lib/containers/storage/volumes /var/lib/docker/volumes
systemctl enable --now podman.socket; ln -sf /run/podman/podman.sock /run/docker.sock; docker version"#;

fn lives(_: Vec<super::kit::Machine>) -> Result<(), Failed> {
    let own = Own::new("trixie-docker");
    let said = own.machine.inside(SWITCH);
    assert!(said.contains("Podman Engine"), "{said}");
    docker::one_life(&own.machine, &AtomicUsize::new(0));
    containerd::images(&own.machine)?;
    adopt::one(&own.machine);
    Ok(())
}
