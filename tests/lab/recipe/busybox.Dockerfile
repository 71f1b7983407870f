# A host whose tools are busybox's, as on Alpine: `sh`, login shells, tar, sed, and all others that busybox has.
# Its folder stands first in every PATH (/usr/local/bin), so GNU's tools are there and are not found.
ARG BASE
FROM ${BASE}
RUN for tool in $(busybox --list); do ln -sf /bin/busybox "/usr/local/bin/$tool"; done \
 && ln -sf /bin/busybox /bin/sh \
 && sed -i 's#:/bin/\(bash\|tcsh\)$#:/bin/sh#' /etc/passwd \
 && for gone in python3 curl bash systemctl; do rm -f "$(command -v "$gone")"; done
STOPSIGNAL SIGTERM
CMD ["/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e"]
