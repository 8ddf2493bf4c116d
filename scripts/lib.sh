# shellcheck shell=bash
# Shared by the scripts here; sourced, never run. Messages, the cache directory,
# and an apt of our own: its sources are derived from the machine's (same mirrors,
# other suites), its lists live in the cache, so /etc/apt stays as it is and a
# third-party source that fails to update does no harm.

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/keyblob

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# debian_of KERNEL: the Debian release whose archive has that kernel.
debian_of() {
	case $1 in
	6.1 | 6.12 | debug) echo bookworm ;;
	7.3) echo trixie ;;
	*) return 1 ;;
	esac
}

# host_debian: the Debian release of this machine.
host_debian() {
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "$VERSION_CODENAME")
}

# locked NAME COMMAND...: runs a function or command, one at a time per NAME.
locked() {
	local name=$1
	shift
	mkdir -p "$cache/lock"
	# The lock belongs to this subshell; what COMMAND leaves running must not keep it.
	(flock 9 && "$@" 9>&-) 9>"$cache/lock/$name"
}

# scratch: makes a directory in the cache, named by $scratch, that goes away when this
# (sub)shell exits. What is made there and then moved is in the cache whole or not at all.
scratch() {
	mkdir -p "$cache"
	find "$cache" -maxdepth 1 -name 'tmp.*' -mtime +1 -exec rm -rf {} +
	scratch=$(mktemp -d "$cache/tmp.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
}

# apt_sources RELEASE: source lines for a Debian release with its security and
# backports suites, from the mirrors that this machine uses for its own release.
apt_sources() {
	local host uri suite component keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	host=$(host_debian)
	[ -r $keyring ] && keyring="[signed-by=$keyring] " || keyring=
	# shellcheck disable=SC2016 # the format's variables are apt's
	# apt parses its sources for us, whichever of its two formats they are in.
	apt-get indextargets --no-release-info -o Dir::State::lists=/nonexistent \
		--format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		sort -u |
		while read -r uri suite component; do
			[ "$component" = main ] || continue
			case $suite in
			"$host")
				echo "deb $keyring$uri $1 main"
				echo "deb $keyring$uri $1-backports main"
				;;
			"$host-security" | "$host-updates")
				echo "deb $keyring$uri $1${suite#"$host"} main"
				;;
			esac
		done
}

# apt_for RELEASE TOOL ARGS...: apt-get or apt-cache with that release's sources.
apt_for() {
	local dir=$cache/apt/$1 tool=$2
	shift 2
	"$tool" -qq \
		-o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" \
		-o APT::Sandbox::User=root -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
		"$@"
}

# apt_update RELEASE: fetches the package lists. Call it, and what uses the lists,
# under the lock "apt-RELEASE".
apt_update() {
	local dir=$cache/apt/$1
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	apt_sources "$1" >"$dir/sources.list"
	[ -s "$dir/sources.list" ] || die "found no mirror of Debian's main component in this machine's apt sources"
	apt_for "$1" apt-get update || die "cannot fetch the package lists of Debian $1"
}
