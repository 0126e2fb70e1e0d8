package process_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/sdk"
)

// breakout runs what a confined process may not do, and returns what came of each.
func breakout(t *testing.T, confine process.Confine, what string, limits process.Limits, params sdk.Params) (map[string]string, error) {
	t.Helper()
	p := program(t, "plugin", confine)
	s, r := session(t, nil)
	r.Params = sdk.Params{"what": what, "host": int64(os.Getpid()), "tcp": "", "udp": "", "stream": "", "packet": "", "secret": ""}
	for name, value := range params {
		r.Params[name] = value
	}
	came := map[string]string{}
	r.Log = func(_ sdk.Level, line string) {
		name, result, _ := strings.Cut(line, ": ")
		came[name] = result
	}
	info := sdk.Info{Name: "breakout", Params: []sdk.Param{{Name: "what", Type: sdk.Enum}, {Name: "host", Type: sdk.Int}}}
	for _, name := range []string{"tcp", "udp", "stream", "packet", "secret"} {
		info.Params = append(info.Params, sdk.Param{Name: name, Type: sdk.String})
	}
	_, _, err := p.Explain(t.Context(), s, r, info, limits)
	return came, err
}

// places listens where a process might get to, and keeps a file that everybody can
// read. What comes in is an error of the test.
func places(t *testing.T) sdk.Params {
	t.Helper()
	dir, err := os.MkdirTemp(temp, "open")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("for all to read"), 0o666); err != nil {
		t.Fatal(err)
	}
	p := sdk.Params{"secret": secret}
	for name, network := range map[string]string{"tcp": "tcp", "stream": "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(dir, name)
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		p[name] = l.Addr().String()
		if network == "unix" {
			if err := os.Chmod(address, 0o777); err != nil {
				t.Fatal(err)
			}
			abstract, err := net.Listen(network, "@"+name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { abstract.Close() })
		}
		t.Cleanup(func() { l.Close() })
	}
	for name, network := range map[string]string{"udp": "udp", "packet": "unixgram"} {
		address := "127.0.0.1:0"
		if network == "unixgram" {
			address = filepath.Join(dir, name)
		}
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		p[name] = c.LocalAddr().String()
		if network == "unixgram" {
			if err := os.Chmod(address, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { c.Close() })
	}
	return p
}

// TestBreakout holds that a process that may do nothing can do nothing: each
// attempt is held where the machine has what holds it, and goes through where it
// has not, so that the confinement that is reported is the one that there is.
func TestBreakout(t *testing.T) {
	leavesNothing(t)
	m := process.Probe("")
	t.Logf("%+v", m)
	if !m.Shim {
		t.Fatal("this test calls WorkerMain, and yet nothing can be confined")
	}
	came, err := breakout(t, process.Confine{Env: []string{"XAI_TEST_DECLARED", "XAI_TEST_NOT_SET"}}, "all", process.Limits{}, places(t))
	if err != nil {
		t.Fatal(err)
	}
	files, calls := m.Landlock > 0, m.Seccomp
	for name, held := range map[string]bool{
		"read a file":                            files,
		"read /etc/passwd":                       files,
		"read the host's environment":            files || m.Root || m.UserNamespace,
		"read its own environment":               files,
		"read the memory of the host":            files || m.Root || m.UserNamespace,
		"list /":                                 files,
		"list the folder of temporary files":     files,
		"write a file":                           true,
		"write to the folder of temporary files": files,
		"make a folder":                          files,
		"make a link":                            files,
		"make a device":                          true,
		"change a file's mode":                   calls || m.Root,
		"dial TCP":                               calls || m.NetworkNamespace || m.Landlock >= 4,
		"listen on TCP":                          calls || m.Landlock >= 4,
		"send UDP":                               calls || m.NetworkNamespace,
		"dial a unix socket":                     calls,
		"dial an abstract socket":                calls || m.NetworkNamespace || m.Landlock >= 6,
		"send to a unix socket":                  calls,
		"send from a pair to a unix socket":      calls,
		"talk netlink":                           calls,
		"execute a program":                      files,
		"signal the host":                        m.ProcessNamespace || m.Root || calls || m.Landlock >= 6,
		"signal all":                             m.ProcessNamespace || m.Root || calls || m.Landlock >= 6,
		"trace the host":                         true,
		"read the host's memory":                 calls || m.Root || m.ProcessNamespace,
		"become root":                            true,
		"have privileges":                        true,
		"gain privileges":                        true,
		"mount":                                  true,
		"make a user namespace":                  calls,
		"clone into a user namespace":            calls,
		"change the root":                        true,
		"set up io_uring":                        calls,
		"load BPF":                               true,
		"keep a key":                             calls,
		"see a variable":                         true,
		"find an open file":                      true,
		"map much memory":                        true,
		"keep memory in a file":                  true,
		"share memory that nobody counts":        calls,
		"leave semaphores behind":                calls,
		"(write to /dev/null)":                   false,
		"(read randomness)":                      false,
		"(declared variable)":                    false,
	} {
		result, ok := came[name]
		switch {
		case !ok:
			t.Errorf("%s: was not tried", name)
		case held && result == "done":
			t.Errorf("%s: nothing held it", name)
		case !held && strings.HasPrefix(name, "(") && result != "done":
			t.Errorf("%s: %s", name, result)
		}
		t.Logf("%-40s %s", name, result)
		delete(came, name)
	}
	for name := range came {
		t.Errorf("%s: the test does not know of it", name)
	}
}

// TestRights holds that what was granted can be used.
func TestRights(t *testing.T) {
	leavesNothing(t)
	places := places(t)
	c := process.Confine{Net: true, Read: []string{filepath.Dir(places["secret"].(string)), "/nowhere"}}
	came, err := breakout(t, c, "all", process.Limits{}, places)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"read a file", "dial TCP", "send UDP", "listen on TCP"} {
		if came[name] != "done" {
			t.Errorf("%s: %s", name, came[name])
		}
	}
	for _, name := range []string{"write a file", "become root", "signal the host", "see a variable"} {
		if came[name] == "done" {
			t.Errorf("%s: nothing held it", name)
		}
	}
	came, err = breakout(t, process.Confine{Files: true}, "all", process.Limits{}, places)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"read a file", "read /etc/passwd", "list /"} {
		if came[name] != "done" {
			t.Errorf("with all files, %s: %s", name, came[name])
		}
	}
	if came["dial TCP"] == "done" {
		t.Error("with all files, the network is open, too")
	}
}

// TestBombs holds that a process that multiplies is bounded, and that all of it is
// gone in the end.
func TestBombs(t *testing.T) {
	m := process.Probe("")
	for _, c := range []struct {
		what  string
		tasks int
	}{{"forks", 0}, {"forks", 100}, {"daemons", 100}, {"threads", 0}, {"threads", 100}} {
		t.Run(c.what+strconv.Itoa(c.tasks), func(t *testing.T) {
			leavesNothing(t)
			came, err := breakout(t, process.Confine{Tasks: c.tasks}, c.what, process.Limits{Timeout: time.Minute}, nil)
			if c.what == "threads" {
				// Go's runtime ends a program that gets no thread.
				if bounded := err != nil && strings.Contains(err.Error(), "ended itself with exit code 2"); !bounded {
					t.Errorf("%v, %v, want the end of the process", came, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(came[c.what], " ")
			made, err := strconv.Atoi(text)
			forks := c.tasks > 0 && (m.ProcessNamespace || m.Root) || !m.Seccomp
			if err != nil || made > 256 || c.tasks > 0 && made > c.tasks || forks && made == 0 || !forks && made != 0 {
				t.Errorf("%s: %s", c.what, came[c.what])
			}
		})
	}
}

// TestFiles holds that a process does not fill its folder with empty files, which is
// all that it can make.
func TestFiles(t *testing.T) {
	leavesNothing(t)
	if _, err := breakout(t, process.Confine{}, "files", process.Limits{Timeout: time.Minute}, nil); !errors.Is(err, &sdk.Error{Code: sdk.EQuota}) {
		t.Errorf("got %v, want EQUOTA", err)
	}
}

// TestConfinement holds the words for a confinement, and for what it lacks.
func TestConfinement(t *testing.T) {
	m := process.Probe("")
	c := program(t, "plugin", process.Confine{Read: []string{"/usr"}, Tasks: 7, AddressSpace: 1 << 30}).Confinement()
	text := c.String()
	for _, want := range []string{"no files but below /usr", "7 t", "1 GiB of address space"} {
		if m.Landlock > 0 && !strings.Contains(text, want) {
			t.Errorf("%s: does not say %s", text, want)
		}
	}
	if complete := m.Landlock > 0 && m.Seccomp; complete != (len(c.Missing()) == 0) {
		t.Errorf("%+v lacks %q", m, c.Missing())
	}
	if none := (process.Confinement{}).Missing(); len(none) != 5 || !slices.Contains(none, "reaches the network") {
		t.Errorf("nothing lacks %q", none)
	}
}
