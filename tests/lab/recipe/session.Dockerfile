# A host that keeps login sessions: logind, XDG_RUNTIME_DIR, a user manager for each user (systemctl --user), lingering.
ARG BASE
FROM ${BASE}
RUN rm /etc/systemd/system/systemd-logind.service && sed -i '/pam_systemd\.so/s/^#//' /etc/pam.d/common-session
