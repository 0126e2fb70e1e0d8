package kernel

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	before := Family()
	defer func() {
		if err := Select(before); err != nil {
			t.Fatal(err)
		}
	}()
	names := Families()
	if !slices.Contains(names, "generic") {
		t.Errorf("Families() = %v without generic", names)
	}
	for _, name := range names {
		if err := Select(name); err != nil || Family() != name {
			t.Errorf("Select(%q): %v, Family() %q", name, err, Family())
		}
	}
	if err := Select("generic"); err != nil {
		t.Fatal(err)
	}
	err := Select("avx1024")
	var wrong *FamilyError
	if !errors.As(err, &wrong) || wrong.Name != "avx1024" || !slices.Equal(wrong.Available, names) {
		t.Errorf("Select(avx1024): %v", err)
	}
	if Family() != "generic" {
		t.Errorf("a refused Select changed the family to %q", Family())
	}
	if err := Select(""); err != nil || Family() != names[0] {
		t.Errorf("Select(\"\"): %v, Family() %q, want %q", err, Family(), names[0])
	}
}

// TestAVX2Registers checks that the AVX2 code keeps to the registers that a
// processor without AVX-512 has: the assembler would take the others too.
func TestAVX2Registers(t *testing.T) {
	files, err := filepath.Glob("*avx2_amd64.s")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`\b([XY](1[6-9]|2[0-9]|3[01])|Z[0-9]+|K[0-7])\b`).Find(code); found != nil {
			t.Errorf("register %s in %s", found, file)
		}
	}
}

// TestPeak checks the order of magnitude: a core does at least a scalar
// multiply-add a nanosecond, and no thread does a thousand vectors of them.
func TestPeak(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		switch rate := Peak(1); {
		case Family() == "generic" && rate != 0:
			t.Errorf("Peak(1) = %v for the generic family", rate)
		case Family() != "generic" && !(rate > 2 && rate < 32000):
			t.Errorf("Peak(1) = %v GFLOP/s", rate)
		}
	})
}

// TestEnvironment runs this test binary again under each value of XAI_KERNEL.
func TestEnvironment(t *testing.T) {
	if os.Getenv("KERNEL_TEST_REPORT") != "" {
		report := Family()
		if err := Err(); err != nil {
			report += " " + err.Error()
		}
		if _, err := os.Stdout.WriteString("report: " + report + "\n"); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := map[string]string{"": Families()[0], "mmx": Families()[0] + ` kernel family "mmx" is not available on this machine: choose one of ` + strings.Join(Families(), ", ")}
	for _, name := range Families() {
		want[name] = name
	}
	for value, want := range want {
		command := exec.Command(os.Args[0], "-test.run=^TestEnvironment$", "-test.v")
		command.Env = append(os.Environ(), "KERNEL_TEST_REPORT=1", Environment+"="+value)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(string(out), "report: "+want+"\n") {
			t.Errorf("%s=%q: want %q in\n%s", Environment, value, want, out)
		}
	}
}
