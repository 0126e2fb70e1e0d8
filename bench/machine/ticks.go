package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Ticks is processor time since the machine started, in the unit of Linux's
// /proc: that of all its processors, what of it was spent at work, and what of
// that by some processes.
type Ticks struct{ all, busy, own float64 }

// Read reads the processor time of the machine and of the given
// processes. ok is false where no file tells it: on other systems than Linux.
//
// Source: proc(5), /proc/stat and /proc/pid/stat.
func Read(pids ...int) (t Ticks, ok bool) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, false
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return t, false
	}
	for i, field := range fields[1:9] { // user nice system idle iowait irq softirq steal
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return t, false
		}
		t.all += v
		if i != 3 && i != 4 {
			t.busy += v
		}
	}
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return t, false
		}
		// The second field is a name in parentheses, which may hold anything;
		// user and system time are the 14th and the 15th.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 13 {
			return t, false
		}
		for _, field := range fields[11:13] {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return t, false
			}
			t.own += v
		}
	}
	return t, true
}

// Others returns the share of the machine that anyone else used between two
// readings, the hypervisor's other guests included.
func Others(from, to Ticks) float64 {
	if to.all <= from.all {
		return 0
	}
	return max((to.busy-from.busy-(to.own-from.own))/(to.all-from.all), 0)
}
