// Package machine tells what a measurement was made on, and what else the machine
// did meanwhile.
package machine

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// Machine is where it was measured.
type Machine struct {
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	Processor string `json:"processor,omitempty"`
	Cores     int    `json:"cores"`
	Go        string `json:"go"`
	Revision  string `json:"revision,omitempty"` // of the checkout, "+" behind it if files differ
}

// Here returns this machine.
func Here() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Processor: processor(), Cores: runtime.NumCPU(), Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				m.Revision = s.Value + m.Revision
			case s.Key == "vcs.modified" && s.Value == "true":
				m.Revision += "+"
			}
		}
	}
	return m
}

// processor returns the name of the processor where the system tells it in a
// file, and nothing elsewhere.
func processor() string {
	fields := cpuinfo()
	name := fields["model name"]
	if family := fields["cpu family"]; family != "" {
		name += " (family " + family + ", model " + fields["model"] + ")"
	}
	return name
}

// Has reports whether the system says that the processor has a feature, under
// Linux's name for it, such as avx2.
func Has(feature string) bool {
	for _, f := range strings.Fields(cpuinfo()["flags"]) {
		if f == feature {
			return true
		}
	}
	return false
}

// cpuinfo returns what Linux tells of the first processor.
func cpuinfo() map[string]string {
	fields := map[string]string{}
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return fields
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); fields[key] == "" {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields
}
