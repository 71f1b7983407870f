#!/bin/sh
# Runs inside an image that is being built, as root: turns what debootstrap leaves into a lab host.
set -eu

# A lab host has the users that a fleet has. Their keys come when a host starts; none rests in an image.
add_user() { # name uid shell
  useradd --create-home --uid "$2" --shell "$3" "$1"
  mkdir -m 700 "/home/$1/.ssh"
  chown "$1:$1" "/home/$1/.ssh"
}
add_user deploy 1001 /bin/bash # sudo without a password
add_user plain 1002 /bin/bash  # no sudo at all
add_user asks 1003 /bin/bash   # sudo with the password lab-password
add_user fishy 1004 /bin/tcsh  # a login shell that is not POSIX
add_user noisy 1005 /bin/bash  # an rc file that talks
mkdir -p /root/.ssh
chmod 700 /root/.ssh
echo 'asks:lab-password' | chpasswd

cat >/etc/sudoers.d/lab <<'SUDOERS'
deploy ALL=(ALL:ALL) NOPASSWD: ALL
fishy ALL=(ALL:ALL) NOPASSWD: ALL
noisy ALL=(ALL:ALL) NOPASSWD: ALL
asks ALL=(ALL:ALL) ALL
SUDOERS
chmod 440 /etc/sudoers.d/lab

# Debian's bash reads .bashrc for a command that comes over SSH too, so this garbage stands before every answer.
cat >/home/noisy/.bashrc <<'RC'
echo "  __ welcome to this machine __  last backup: never"
printf 'garbage \001\033[31m without an end of line'
echo "warning: rc file is 12 years old" >&2
sleep 0.1
RC
chown noisy:noisy /home/noisy/.bashrc

# debootstrap leaves the same host keys and machine id in all hosts of one image.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id

# An installed machine has this file, and sshd's PAM stack notes its absence at each login.
: >/etc/default/locale

# Login sessions cost each login a message to logind. Images that keep them are made by session.Dockerfile.
sed -i '/pam_systemd\.so/s/^/#/' /etc/pam.d/common-session

# The message of the day is made anew by four programs at each login, of which a run of all trials has many thousands.
sed -i '/pam_motd\.so/s/^/#/' /etc/pam.d/sshd

# No part of these can work in a container, or they only cost time while it boots.
if [ -d /usr/lib/systemd/system ] || [ -d /lib/systemd/system ]; then
  for unit in \
    systemd-resolved.service systemd-logind.service systemd-udevd.service systemd-udev-trigger.service \
    systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-networkd.service systemd-networkd.socket \
    systemd-modules-load.service systemd-journal-flush.service systemd-firstboot.service systemd-binfmt.service \
    systemd-random-seed.service systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-update-done.service systemd-journal-catalog-update.service ldconfig.service \
    systemd-timesyncd.service systemd-hwdb-update.service systemd-machine-id-commit.service systemd-repart.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path \
    kmod-static-nodes.service getty.target console-getty.service e2scrub_reap.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
  done
  # A dozen generators run at each daemon-reload, and none of them has anything to generate here.
  mkdir -p /etc/systemd/system-generators
  for generator in /usr/lib/systemd/system-generators/* /lib/systemd/system-generators/*; do
    ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
  done
  ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
fi
# A container cannot write the kernel's IPv6 settings, and Docker 26 and later give up over that unless told not to.
if [ -e /usr/sbin/dockerd ]; then
  mkdir -p /etc/systemd/system/docker.service.d
  printf '[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n' >/etc/systemd/system/docker.service.d/lab.conf
fi
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /tmp/provision.sh
