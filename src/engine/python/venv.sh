# Makes a virtual environment, if it is not there, as the release says: VENV RELEASE [WHEELS]
# It is made under its own name, as it cannot be moved; the mark that is written last tells a whole one from one that was cut off.
cd "$2" && . ./.portoser/build.env || exit
venv=$1 release=$2 wheels=$3 # only now: that may hold any name
. ./.portoser/venv || exit # sets $version, $lock, $program, $uv, and uv's flags as words
mark=$venv/.portoser-complete list=-r

fail() {
  printf '%s\n' "$1"
  exit 1
}

gave_up() { # not every tool can say that the disk is full: what it says lies on the same one
  code=$? full=
  head -c 4194304 /dev/zero 2>/dev/null >"$venv/.room" || full=yes
  rm -rf "$venv"
  [ ! -d "$venv.before" ] || mv "$venv.before" "$venv"
  [ -z "$full" ] || printf 'No space left on device: %s\n' "$venv"
  exit $code
}

find_python() { # sets $python to an interpreter of this version, or to nothing
  for python in "python$version" python3 python; do
    told=$("$python" --version 2>&1) || continue
    case $told in "Python $version."*) return ;; esac
  done
  python=
}

has_program() {
  [ -z "$program" ] || [ -x "$venv/bin/$program" ] || {
    all=$(cd "$venv/bin" && echo *)
    fail "there is no program \`$program\` in the virtual environment; it has: $all"
  }
}

whole() { # whether all is there yet that was noted when it was made
  while IFS= read -r one; do
    [ -e "$venv/lib/$one" ] || return
  done <"$mark"
}

packages() { # what lies in it, without what no service needs, or what carries a version in its name
  for one in "$venv"/lib/python*/site-packages/*; do
    case ${one##*/} in
      *.dist-info | *.egg-info | __pycache__ | _virtualenv.* | pip | setuptools | wheel | pkg_resources | _distutils_hack | distutils-precedence.pth) ;;
      *[[:cntrl:]]*) ;;
      *) [ ! -e "$one" ] || printf '%s\n' "${one#"$venv/lib/"}" ;;
    esac
  done
}

if [ -e "$mark" ] && "$venv/bin/python" -c '' && whole; then
  has_program
  [ -z "$wheels" ] || rm -rf "$wheels"
  exit 0
fi
umask 022
# One that lacks something may serve yet: it comes back where no other can be made.
if [ -e "$mark" ]; then rm -rf "$venv.before" && mv "$venv" "$venv.before" || exit; fi
rm -rf "$venv" && mkdir -p "${venv%/*}" || exit
find_python
case $lock in *.whl | *.whl\[*) list='' lock=./$lock ;; esac
if command -v uv >/dev/null; then
  # What lies in root's home no other user could run.
  UV_PYTHON_INSTALL_DIR=${UV_PYTHON_INSTALL_DIR:-${venv%/services/*}/python} UV_LINK_MODE=${UV_LINK_MODE:-copy}
  UV_PROJECT_ENVIRONMENT=$venv UV_NO_PROGRESS=1
  export UV_PYTHON_INSTALL_DIR UV_LINK_MODE UV_PROJECT_ENVIRONMENT UV_NO_PROGRESS
  uv venv --quiet --no-project --python "${python:-$version}" "$venv" || gave_up
  if [ "$uv" = yes ]; then
    uv sync --quiet --frozen --no-install-workspace --no-default-groups --python "$venv/bin/python" "$@" || gave_up
  else
    uv pip install --quiet --python "$venv/bin/python" ${wheels:+--no-index --find-links "$wheels"} $list "$lock" || gave_up
  fi
  # As pip does: whoever runs it may not write there.
  "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >/dev/null 2>&1
else
  [ -n "$python" ] || fail "there is no Python $version on this host"
  "$python" -m venv "$venv" || gave_up
  "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir \
    ${wheels:+--no-index --find-links "$wheels"} $list "$lock" || gave_up
fi
chmod -R go+rX "$venv" || exit
has_program
{ sync -f -- "$venv" 2>/dev/null || sync; } && packages >"$venv/.made" && mv "$venv/.made" "$mark" || exit
rm -rf "$venv.before"
[ -z "$wheels" ] || rm -rf "$wheels"
