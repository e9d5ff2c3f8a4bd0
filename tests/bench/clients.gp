# SPDX-License-Identifier: BSD-2-Clause
# Throughput and latency over the number of clients; `folder` has password.dat and encrypted.dat of report.py.
set terminal svg size 800,700 font "sans-serif,13" background "white"
set output folder . "/clients.svg"
set multiplot layout 2,1
set logscale x 2
set xrange [0.9:290]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256)
set grid
set key outside right top
set ylabel "derivations a second"
set yrange [0:*]
plot folder . "/password.dat" using 1:2 with linespoints lc rgb "#1f77b4" title "password", \
     folder . "/encrypted.dat" using 1:2 with linespoints lc rgb "#d62728" title "encrypted"
set xlabel "clients, one question at a time each"
set ylabel "µs"
set logscale y
set yrange [*:*]
plot folder . "/password.dat" using 1:3 with linespoints lc rgb "#1f77b4" title "password, p50", \
     folder . "/password.dat" using 1:4 with linespoints lc rgb "#1f77b4" dt 2 title "password, p99", \
     folder . "/encrypted.dat" using 1:3 with linespoints lc rgb "#d62728" title "encrypted, p50", \
     folder . "/encrypted.dat" using 1:4 with linespoints lc rgb "#d62728" dt 2 title "encrypted, p99"
unset multiplot
