# shellcheck shell=bash
# The static analysers that scripts/lint runs; sourced. Each prints what it finds and
# nothing else, and takes either the directory of a compile database or a command that
# compiles with $CC. scripts/lint sets $headers and $semantic, the kernel's headers and source.
# shellcheck disable=SC2154

# database DIRECTORY: DIRECTORY/compile_commands.json, of what "make -nw" on stdin would
# compile beneath here; each source once, an entry a line.
database() {
	mkdir -p "$1"
	awk -v top="$PWD/" '
		/: Entering directory / { split($0, part, "\047"); directory[++depth] = part[2] }
		/: Leaving directory / { depth-- }
		$1 == "cc" && match($0, / [^ ]*\.c( |$)/) {
			file = substr($0, RSTART + 1, RLENGTH - 1)
			sub(/ $/, "", file)
			path = file ~ /^\// ? file : directory[depth] "/" file
			while (sub(/\/[^\/]+\/\.\.\//, "/", path))
				continue
			if (index(path, top) != 1 || index(path, top "kmod/") == 1 || seen[path]++)
				next
			# Neither what it is linked with, nor the headers that make(1) adds.
			command = ""
			for (i = 1; i <= NF; i++) {
				if ($i == "-o")
					i++
				else if ($i !~ /^-M|^-l|\.[aho]$|^\\$/ || $(i - 1) == "-include")
					command = command " " $i
			}
			gsub(/\047"|"\047/, "\\\"", command)
			gsub(/[\\"]/, "\\\\&", command)
			printf "%s{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s -c\"}", \
				n++ ? ",\n" : "[\n", directory[depth], path, substr(command, 2)
		}
		END { print "\n]" }' >"$1/compile_commands.json"
}

# All C of user space, tests included.
user_database() {
	{
		make -nBw userspace
		make -nBw -C selftests
	} 2>/dev/null | database "$1"
}

# module_database BUILD DIRECTORY: of the module that Kbuild has built in BUILD, without
# the options that clang does not know.
module_database() {
	{
		echo "make: Entering directory '$headers'"
		find "$1" -name '.*.o.cmd' -exec sed -nE '
			s/ *;.*//
			s/^(saved)?cmd_[^ ]* := *[^ ]*gcc[^ ]* /cc /
			T
			/\.c$/!d
			s/ -(f(allow-store-data-races|conserve-stack|no-allow-store-data-races)|m(fentry|record-mcount))\>//g
			s/ -(falign-jumps|fzero-call-used-regs|ftrivial-auto-var-init|mfunction-return|mharden-sls)=[^ ]*//g
			s/ -(mindirect-branch|mpreferred-stack-boundary|mskip-rax-setup|mno-fp-ret-in-387)[^ ]*//g
			p' {} +
	} | grep -v '\.mod\.c$' | database "$2"
}

sources() {
	sed -n 's/.*"file": "\([^"]*\)".*/\1/p' "$1/compile_commands.json"
}

# The number of warnings, those in system headers included, goes to stderr.
tidy() {
	sources "$1" | xargs -d '\n' -P 2 -n 1 clang-tidy -p "$1" --quiet \
		2> >(grep -vE '^[0-9]+ (warnings?|errors?) .*generated\.$')
}

# It does not know -isystem, nor reads headers of libc, but knows libc's functions. Formats
# are gcc's -Wformat's, which knows the types. GNU C counts with void pointers, and has
# a ?: b and statements in expressions.
cpp_check() {
	mkdir -p "$1/cppcheck"
	sed 's/-isystem /-I/g' "$1/compile_commands.json" >"$1/cppcheck/compile_commands.json"
	cppcheck -j 2 --quiet --project="$1/cppcheck/compile_commands.json" --std=c11 \
		--enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=invalidPrintfArgType_uint --suppress=invalidPrintfArgType_sint \
		--suppress=invalidScanfArgType_int --suppress=arithOperationsOnVoidPointer \
		--suppress=selfAssignment --suppress=constStatement \
		--include=/usr/include/x86_64-linux-gnu/sys/queue.h
}

# gcc 12 takes what is stored through a pointer for leaked; clang-tidy looks for leaks.
gcc_analyzer() {
	CC='cc -fanalyzer -fdiagnostics-plain-output -Wno-analyzer-malloc-leak' "$@"
}

# Checkers that clang-tidy does not have, so that nothing is analysed twice and what is
# excused there, line by line, is not found again.
scan() {
	local checker checkers=()
	for checker in core.BoolAssignment core.CastSize core.FixedAddr core.IdenticalExpr \
		core.PointerArithm core.PointerSub core.StackAddressAsyncEscape core.TestAfterDivZero \
		security.MallocOverflow security.MmapWriteExec security.ReturnPtrRange \
		security.cert.pos.34c unix.BlockInCriticalSection \
		unix.PthreadLock unix.SimpleStream unix.Stream unix.cstring.BufferOverlap \
		unix.cstring.NotNullTerminated; do
		checkers+=(-enable-checker "alpha.$checker")
	done
	for checker in core.NullDereference core.NonNullParamChecker core.CallAndMessage unix.Malloc \
		deadcode.DeadStores; do
		checkers+=(-disable-checker "$checker")
	done
	scan-build -o build/lint/reports "${checkers[@]}" "$@" 2>&1 |
		grep -vE '^scan-build: (Using|Removing|Analysis run complete|No bugs)|^warning: could not create file|^[0-9]+ warnings? generated'
	return 0
}

# The scripts that come with the kernel, but those in OCaml; two at a time.
coccinelle() {
	local script options
	find "$semantic/scripts/coccinelle" -name '*.cocci' -exec grep -L 'script:ocaml' {} + | sort |
		{
			while read -r script; do
				[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
				read -ra options < <(sed -n 's,^// *Options: *,,p' "$script")
				spatch -D report --very-quiet --cocci-file "$script" "${options[@]}" \
					-I uapi -I "$headers/include" -I "$headers/arch/x86/include" \
					--dir "$1" 2>&1 &
			done
			wait
		} | grep -vE '^warning: line [0-9]+: should .* be a metavariable\?$'
	return 0
}
