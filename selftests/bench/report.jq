# What report makes of raw.jsonl, all of whose records are the input (jq -n): bench.json as
# the main output; with --arg form, table (text) or plot.NAME (lines for gnuplot) out of
# bench.json. A measure is what counts of a record's values, per byte, connection or call.

def ours: ["keyblob", "keyblob-option"];
def sidecars: ["stunnel", "hitch", "haproxy", "nginx"];
def named_by: {
	"openssl": "OpenSSL", "openssl-ktls": "OpenSSL + kTLS",
	"plain": "no TLS", "ktls": "raw kTLS",
	"keyblob-import": "keyblob, import alone", "stunnel": "stunnel", "hitch": "hitch", "haproxy": "HAProxy", "nginx": "nginx",
	"keyblob": "keyblob", "keyblob-option": "keyblob (option)"
};
def named: named_by[.] // .;
def order: . as $contender | named_by | keys_unsorted | index($contender) // 99;

# ---- bench.json ----

def per($n): . / $n;
def server: (.application_ns // 0) + (.sidecar_ns // 0) + (.agent_ns // 0) + (.kernel_ns // 0);
def shares($n): {application: (.application_ns | per($n)), sidecar: (.sidecar_ns | per($n)),
	agent: (.agent_ns | per($n)), kernel: (.kernel_ns | per($n))};

def measures: .work as $work | .values |
	if $work == "bulk" then .bytes as $n |
		{bytes_per_s: ($n * 1e9 / .elapsed_ns), cpu: (server | per($n))} + shares($n)
	elif $work == "connections" then .connections as $n |
		{per_s: ($n * 1e9 / .elapsed_ns), cpu: (server | per($n))} + shares($n)
	elif $work == "setup" then . + {attach_import_ns: (.attach_ns + .import_ns)}
	elif $work == "memory" then
		. + {all_bytes: (.kernel_bytes + .user_bytes), beside_bytes: (.kernel_bytes + (.agent_bytes // 0))}
	else . end;

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def summary: {median: median, min: min, max: max};

# Of records of one work, case and contender, one a round.
def result: {work: .[0].work, case: .[0].case, contender: .[0].contender, rounds: length,
	measures: (map(measures) | . as $all | reduce (map(keys[]) | unique[]) as $m ({};
		. + {($m): [$all[] | .[$m] | numbers] | summary}))};

def results: map(select(.work)) | group_by([.work, .case, .contender]) | map(result);

# ---- targets ----

# comparisons: of each of $who with each of $whom, in the same case, by the filter f on
# {ours, theirs}, the medians of measure $m. Input: all results.
def compare($work; $m; $who; $whom; f):
	[.[] | select(.work == $work)] as $all |
	[$all[] | select(.contender as $c | $who | index($c)) | . as $our |
		$all[] | select(.case == $our.case and (.contender as $c | $whom | index($c))) |
		select($our.measures[$m] and .measures[$m]) |
		{case, contender: $our.contender, against: .contender,
		 value: ({ours: $our.measures[$m].median, theirs: .measures[$m].median} | f)}];
def ratio: .ours / .theirs;

# The same contender, with many open connections and with few.
def growth($m; $many; $few):
	[.[] | select(.work == "growth" and .contender == "keyblob")] as $all |
	[$all[] | select(.case.open == $many) | . as $our | $all[] | select(.case.open == $few) |
		{case: $our.case, contender: .contender, against: "\($few) open",
		 value: ($our.measures[$m].median / .measures[$m].median)}];

# What TLS adds to a connection without, in the kernel and the agent: how much more than raw
# kTLS does. The servers of OpenSSL and of keyblob have the rest in common.
def added($who; $without):
	compare("memory"; "beside_bytes"; [$who]; [$without]; .ours - .theirs);
def more_than_ktls:
	added("ktls"; "plain") as $ktls |
	[(added("keyblob-import"; "plain"), added("keyblob"; "openssl"), added("keyblob-option"; "openssl"))[] |
		. as $our | $ktls[] | select(.case == $our.case) |
		$our + {against: "ktls", value: ($our.value - .value)}];

# What OpenSSL's process would occupy with raw kTLS for its keys.
def least_memory:
	added("ktls"; "plain") as $ktls | [.[] | select(.work == "memory" and .contender == "openssl")] as $openssl |
	[$ktls[] | . as $k | $openssl[] | select(.case == $k.case) | .measures as $m |
		$k + {against: "openssl", value: (($m.kernel_bytes.median + $k.value) / $m.all_bytes.median)}];

# The worst of the comparisons counts; one that is missing is not one that holds. $possible
# are comparisons of something that does less than keyblob has to.
def verdict($text; $sense; $limit; $whom; $comparisons; $possible):
	def worst: if $sense == "at least" then min_by(.value) else max_by(.value) end;
	($comparisons | worst) as $worst |
	($whom - [$comparisons[].against]) as $missing |
	([$comparisons[].value | select(if $sense == "at least" then . < $limit else . > $limit end)] | length) as $fails |
	{target: $text, sense: $sense, limit: $limit, worst: $worst, comparisons: $comparisons, missing: $missing, fails: $fails,
	 at_best: ($possible | worst),
	 verdict: (if $fails > 0 then "does not hold"
		elif $missing != [] then "not run"
		else "holds" end)};

def targets: [
	verdict("bulk: throughput"; "at least"; 0.99; ["openssl-ktls"];
		compare("bulk"; "bytes_per_s"; ours; ["openssl-ktls"]; ratio);
		compare("bulk"; "bytes_per_s"; ["ktls"]; ["openssl-ktls"]; ratio)),
	verdict("bulk: instructions per byte"; "at most"; 1.01; ["openssl-ktls"];
		compare("bulk"; "cpu"; ours; ["openssl-ktls"]; ratio);
		compare("bulk"; "cpu"; ["ktls"]; ["openssl-ktls"]; ratio)),
	verdict("bulk: throughput"; "at least"; 1.8; sidecars;
		compare("bulk"; "bytes_per_s"; ours; sidecars; ratio);
		compare("bulk"; "bytes_per_s"; ["openssl-ktls"]; sidecars; ratio)),
	verdict("bulk: CPU per GB"; "at most"; 0.4; sidecars; compare("bulk"; "cpu"; ours; sidecars; ratio);
		compare("bulk"; "cpu"; ["openssl-ktls"]; sidecars; ratio)),
	verdict("attach + import of both keys: instructions"; "at most"; 1.25; ["ktls"];
		compare("setup"; "attach_import_ns"; ["keyblob"]; ["ktls"]; ratio); []),
	verdict("new connections: CPU in total"; "at most"; 1.05; ["openssl"];
		compare("connections"; "cpu"; ours; ["openssl"]; ratio);
		compare("connections"; "cpu"; ["openssl-ktls"]; ["openssl"]; ratio)),
	verdict("new connections: CPU of the application's thread"; "at most"; 0.10; ["openssl"];
		compare("connections"; "application"; ours; ["openssl"]; ratio); []),
	verdict("new connections per second"; "at least"; 1.2; sidecars;
		compare("connections"; "per_s"; ours; sidecars; ratio);
		compare("connections"; "per_s"; ["openssl"]; sidecars; ratio)),
	verdict("memory per idle connection"; "at most"; 0.5; ["openssl"];
		compare("memory"; "all_bytes"; ours; ["openssl"]; ratio); least_memory),
	verdict("memory per idle connection, kernel and agent: bytes more"; "at most"; 512; ["ktls"];
		more_than_ktls; []),
	verdict("p99 latency in a storm of handshakes"; "at most"; 0.25; ["openssl"];
		compare("latency"; "p99_ns"; ours; ["openssl"]; ratio); []),
	verdict("cost of a handshake, 10,000 connections open"; "at most"; 1.10; ["10 open"];
		growth("handshake_ns"; 10000; 10); [])
];

def bench: {environment: ([.[] | .environment // empty] | last // {}), results: results}
	| . + {targets: (.results | targets)};

# ---- table ----

def digits($n): if . < 0 then "-" + (-. | digits($n)) else
	pow(10; $n) as $p | (. * $p | round) as $i | ($i / $p | floor | tostring) +
	if $n == 0 then "" else "." + (($i % $p) + $p | tostring | .[1:]) end end;
# Three digits, or all before the point.
def brief: if . == null then "-" else fabs as $a |
	if $a >= 100 then digits(0) elif $a >= 10 then digits(1) elif $a >= 0.1 then digits(2)
	elif $a == 0 then "0" else digits(4) end end;
def pad($n): . + " " * ($n - length);
def spread: (if .median == 0 then 0 else (.max - .min) / 2 / (.median | fabs) * 100 end) |
	if . < 0.05 then "" else " ±\(digits(1)) %" end;

# Rows of equal length, the first one the head; as Markdown.
def grid: . as $rows | [range(.[0] | length) | . as $i | [$rows[][$i] | length] | max] as $widths |
	def line: "| " + ([range(length) as $i | .[$i] | pad($widths[$i])] | join(" | ")) + " |";
	($rows[0] | line), ($widths | map("-" * .) | line), ($rows[1:][] | line);

def case_text: to_entries | map(
	if .key == "connections" or .key == "open" or .key == "concurrent" then
		"\(.value) " + if .value == 1 then .key | rtrimstr("s") else .key end
	elif .key == "rate" then "\(.value) a second"
	else .value | tostring end) | join(", ");

def limit_text: (if .sense == "at least" then "≥ " else "≤ " end) +
	(if .limit >= 100 then "+ \(.limit)" else "\(.limit | digits(2)) ×" end);
def whom_text: [.comparisons[].against] + .missing | unique | sort_by(order) | map(named) | join(", ");
def verdict_text: .verdict +
	(if .verdict == "does not hold" then ", \(.fails) of \(.comparisons | length)"
	 elif .verdict == "holds" then ", all of \(.comparisons | length)" else "" end) +
	if .missing == [] then "" else ": no " + (.missing | map(named) | join(", ")) end;

def best_text: if .at_best then "\(.at_best.value | brief), \(.at_best.contender | named)" else "" end;

def target_rows: ["", "against", "target", "worst", "where", "", "at best"],
	(.targets[] | [.target, whom_text, limit_text, (.worst.value | brief),
		(.worst | if . then "\(.contender | named)\(if .case == {} then "" else ", " + (.case | case_text) end)"
			+ " : \(.against | named)" else "-" end), verdict_text, best_text]);

# columns: [[head, measure, divisor]...] of a work
def columns: {
	bulk: [["MB/s", "bytes_per_s", 1e6], ["CPU s per GB: server's side", "cpu", 1],
		["application", "application", 1], ["sidecar", "sidecar", 1], ["agent", "agent", 1], ["kernel", "kernel", 1]],
	connections: [["per second", "per_s", 1], ["CPU us each: server's side", "cpu", 1e3],
		["application", "application", 1e3], ["sidecar", "sidecar", 1e3], ["agent", "agent", 1e3],
		["kernel", "kernel", 1e3]],
	setup: [["attach", "attach_ns", 1], ["import TX", "import_tx_ns", 1], ["import RX", "import_rx_ns", 1],
		["attach + import", "attach_import_ns", 1], ["of it: opening blobs", "open_ns", 1],
		["export, the agent's", "export_ns", 1]],
	memory: [["bytes each: kernel", "kernel_bytes", 1], ["application", "application_bytes", 1],
		["sidecar", "sidecar_bytes", 1], ["agent", "agent_bytes", 1], ["all", "all_bytes", 1]],
	latency: [["p50, us", "p50_ns", 1e3], ["p99, us", "p99_ns", 1e3]],
	growth: [["a handshake, us", "handshake_ns", 1e3], ["a byte, ns", "byte_ns", 1]]
};
def titles: {
	bulk: "Bulk", connections: "New connections", setup: "Attach and import, in instructions",
	memory: "Memory per idle connection", latency: "Latency of requests in a storm of handshakes",
	growth: "Cost at a number of open connections"
};

def cell($measures; $column): $measures[$column[1]] |
	if . == null then "-" else (.median / $column[2] | brief) + spread end;

# What is compared with keyblob, in the same case.
def main_measure: {bulk: "cpu", connections: "cpu", setup: "attach_import_ns", memory: "all_bytes",
	latency: "p99_ns", growth: "handshake_ns"};

def work_rows($work): columns[$work] as $columns | main_measure[$work] as $main |
	[.results[] | select(.work == $work)] as $all |
	["", ""] + ($columns | map(.[0])) + ["of keyblob's"],
	(($all | sort_by([.case, (.contender | order)]))[] | . as $r | .measures as $m |
		(first($all[] | select(.case == $r.case and .contender == "keyblob")) // null) as $ours |
		[(.case | case_text), (.contender | named)] + ($columns | map(. as $c | cell($m; $c))) +
		[if $ours then ($m[$main].median / $ours.measures[$main].median | brief) + " ×" else "-" end]);

def environment_lines: .environment | to_entries[] |
	"\(.key): \(.value | if type == "object" then to_entries | map("\(.key) \(.value)") | join(", ") else . end)";

# The cases that the plot shows, and what is received, a contender each.
def shown: {
	bulk: {direction: "send", connections: 1, cipher: "TLS_AES_128_GCM_SHA256"},
	connections: {kind: "full", key: "P-256", concurrent: 16}, memory: {connections: 1000}, latency: {key: "P-256"}
};
def summary_cell($name; $work; $case; $measure; $divisor):
	first(.results[] | select(.work == $work and .contender == $name and (.case | contains($case))) |
		.measures[$measure].median | numbers / $divisor | brief) // "-";
def summary_rows: . as $bench |
	["", "send", "receive", "new connection", "its application's part", "idle connection", "p99 in a storm"],
	["", "instr. a byte", "instr. a byte", "1,000 instr.", "1,000 instr.", "bytes", "1,000 instr."],
	([.results[].contender] | unique | sort_by(order) | .[] | select(IN("plain", "ktls", "keyblob-import") | not) |
		. as $name | $bench | [$name | named] + [
			summary_cell($name; "bulk"; shown.bulk; "cpu"; 1),
			summary_cell($name; "bulk"; shown.bulk + {direction: "receive"}; "cpu"; 1),
			summary_cell($name; "connections"; shown.connections; "cpu"; 1e3),
			summary_cell($name; "connections"; shown.connections; "application"; 1e3),
			summary_cell($name; "memory"; shown.memory; "all_bytes"; 1),
			summary_cell($name; "latency"; shown.latency; "p99_ns"; 1e3)]);

def table:
	environment_lines, "", ([summary_rows] | grid), "", ([target_rows] | grid),
	(. as $bench | columns | keys_unsorted[] as $work | $bench | "", titles[$work],
		if any(.results[]; .work == $work) then "", ([work_rows($work)] | grid) else "not run" end);

# ---- plot ----

# lines($work; $measures; $divisor): of the case of $work that the plot shows, a contender each.
def lines($work; $measures; $divisor): [.results[] | select(.work == $work and (.case | contains(shown[$work])))] |
	sort_by(.contender | order)[] | .measures as $m |
	"\"\(.contender | named)\" " + ($measures | map(($m[.].median // 0) / $divisor | tostring) | join(" "));
def plot_lines: {
	bulk: [lines("bulk"; ["bytes_per_s"]; 1e6)],
	connections: [lines("connections"; ["application", "sidecar", "agent", "kernel"]; 1e3)],
	memory: [lines("memory"; ["kernel_bytes", "application_bytes", "sidecar_bytes", "agent_bytes"]; 1024)],
	latency: [lines("latency"; ["p50_ns", "p99_ns"]; 1e3)]
};

if $form == "table" then input | table
elif $form == "json" then [inputs] | bench
else input | plot_lines[$form][] end
