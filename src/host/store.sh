# Where an engine keeps its images: in a folder of its own, or where containerd lies. Docker does not tell the latter, and that of an
# engine without root lies elsewhere.
store_words='{{.DockerRootDir}}|{{.Driver}}|{{.DriverStatus}}|{{.SecurityOptions}}'
store() { # what `docker info` tells by these words: sets $root, $driver, $kept (all but the root), and $lies, which is empty where nobody knows
  root=${1%%|*} kept=${1#*|}
  driver=${kept%%|*} lies=$root
  case $kept in
  *containerd.snapshotter*name=rootless*) lies= ;;
  *containerd.snapshotter*) lies=/var/lib/containerd; [ -d "$lies" ] || lies= ;;
  esac
}
