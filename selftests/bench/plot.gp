# plot.svg out of bulk, connections, memory and latency, files that report makes: a line a
# contender. Called by it, in their directory; a file that is empty was not measured.

set terminal svg size 1100,780 font "sans-serif,13" background "#ffffff" noenhanced
set output "plot.svg"
set multiplot layout 2,2 margins 0.07,0.93,0.13,0.95 spacing 0.09,0.21
set style data histograms
set style fill solid 0.9 noborder
set boxwidth 0.7
set border 3 linecolor rgb "#888888"
tics = "set xtics nomirror rotate by -25 font ',11' textcolor rgb '#222222'; set ytics nomirror textcolor rgb '#222222'"
@tics
set grid ytics linetype 1 linecolor rgb "#dddddd"
set key top right horizontal font ",11"
set yrange [0:*]
set offsets 0, 0, graph 0.2, 0
set linetype 1 linecolor rgb "#4878a8"
set linetype 2 linecolor rgb "#c25b4a"
set linetype 3 linecolor rgb "#5a9a68"
set linetype 4 linecolor rgb "#9a9a9a"

measured(file) = int(system("wc -l <".file))
absent = "unset tics; set label 1 'not measured' at graph 0.5,0.5 center; plot [0:1][0:1] -1 notitle with lines; unset label 1; ".tics

set style histogram rowstacked
set title "Bulk, one connection: MB a second, both ends on one CPU"
if (measured("bulk")) { plot "bulk" using 2:xtic(1) notitle linetype 1 } else { @absent }

set title "A new connection, full handshake, P-256: CPU, microseconds"
if (measured("connections")) {
	plot "connections" using 2:xtic(1) title "application", "" using 3 title "sidecar", \
		"" using 4 title "agent", "" using 5 title "kernel"
} else { @absent }

set title "An idle connection, of 1,000: KB"
if (measured("memory")) {
	plot "memory" using 2:xtic(1) title "kernel" linetype 4, "" using 3 title "application" linetype 1, \
		"" using 4 title "sidecar" linetype 2, "" using 5 title "agent" linetype 3
} else { @absent }

set style histogram clustered gap 1
set title "A request in a storm of handshakes: microseconds"
if (measured("latency")) {
	plot "latency" using 2:xtic(1) title "median" linetype 1, "" using 3 title "99 % are faster" linetype 2
} else { @absent }
unset multiplot
