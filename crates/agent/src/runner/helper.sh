
# Functions for bash tasks. A task sources this file as ./helper; see the reference of task scripts.
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C LANGUAGE=C LANG=C
export PS4='+ ${BASH_SOURCE##*/}:${LINENO}: '
set -o pipefail -o errexit
shopt -s nullglob extglob globstar

for __dir in /usr/local/bin /usr/local/sbin /usr/bin /usr/sbin /bin /sbin; do
    case ":$PATH:" in
        *":$__dir:"*) ;;
        *) PATH="$PATH:$__dir" ;;
    esac
done
export PATH
unset __dir

OS_TYPE='' OS_VER='' OS_NAME='' OS_FAMILY='' INITSTYLE=sysv
if [[ -r /etc/os-release ]]; then
    OS_TYPE=$(. /etc/os-release && printf '%s' "${ID:-}")
    OS_VER=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
elif [[ -r /etc/redhat-release ]]; then
    OS_TYPE=rhel
    OS_VER=$(grep -o '[0-9][0-9.]*' /etc/redhat-release | head -n 1)
fi
OS_NAME="$OS_TYPE-$OS_VER"
case $OS_TYPE in
    centos | redhat | rhel | fedora | scientific | rocky | almalinux | alma | oracle | ol | amzn) OS_FAMILY=rhel ;;
    debian | ubuntu | linuxmint) OS_FAMILY=debian ;;
    *) OS_FAMILY=other ;;
esac
if [[ -d /run/systemd/system ]]; then
    INITSTYLE=systemd
elif command -v initctl >/dev/null 2>&1; then
    INITSTYLE=upstart
fi
export OS_TYPE OS_VER OS_NAME OS_FAMILY INITSTYLE

# Runs a command only if the package lists are older than ten minutes.
if_update_needed() {
    local stamp=/tmp/.package-lists-fresh
    if [[ -e $stamp ]] && (($(stat -c '%Y' "$stamp") > $(date '+%s') - 600)); then
        return 0
    fi
    touch "$stamp"
    "$@"
}

# install PACKAGE...: with the system's own package manager.
install() {
    case $OS_FAMILY in
        rhel)
            if command -v dnf >/dev/null 2>&1; then
                if_update_needed dnf -y makecache
                dnf -y install "$@"
            else
                if_update_needed yum -y makecache
                yum -y install "$@"
            fi
            ;;
        debian)
            if_update_needed apt-get -y update
            apt-get -y install "$@"
            ;;
        *)
            echo "install: no package manager is known for $OS_NAME" >&2
            return 1
            ;;
    esac
}

# service NAME ACTION: with the system's own service manager.
service() {
    local name=$1 action=$2
    if command -v systemctl >/dev/null 2>&1 && [[ $INITSTYLE == systemd ]]; then
        systemctl "$action" "$name.service"
    elif [[ -x /etc/init.d/$name ]]; then
        "/etc/init.d/$name" "$action"
    elif command -v initctl >/dev/null 2>&1; then
        initctl "$action" "$name"
    else
        echo "service: do not know how to $action $name here" >&2
        return 1
    fi
}

# get_param NAME: the machine's value, profiles included.
get_param() {
    drpcli machines get "$RS_UUID" param "$1" --aggregate
}

# set_param NAME [VALUE]: on the machine; without VALUE it is read from standard input.
set_param() {
    if (($# > 1)); then
        drpcli machines set "$RS_UUID" param "$1" to "$2"
    else
        drpcli machines set "$RS_UUID" param "$1" to -
    fi
}

# From here on exit codes are 16 stop, 32 power off, 64 reboot, 128 incomplete, and their sums.
__sane_exit() {
    touch "$RS_TASK_DIR/.sane-exit-codes"
}

__exit() {
    __sane_exit
    exit "$1"
}

exit_incomplete() { __exit 128; }
exit_reboot() { __exit 64; }
exit_shutdown() { __exit 32; }
exit_stop() { __exit 16; }
exit_incomplete_reboot() { __exit 192; }
exit_incomplete_shutdown() { __exit 160; }

# addr_port ADDRESS PORT: joined as a URL wants it.
addr_port() {
    if [[ $1 == *:* ]]; then
        printf '[%s]:%s' "$1" "$2"
    else
        printf '%s:%s' "$1" "$2"
    fi
}
