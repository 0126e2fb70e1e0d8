package core_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/registry"
)

// TestWhatNothingConfinesIsAsked: where this program cannot confine a process, what
// the process could then do is what the policy forbids, and what is asked for.
func TestWhatNothingConfinesIsAsked(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.toml")
	host := newHost(t, core.Options{
		XAI:        filepath.Join(dir, "no such program"), // which could confine it
		GrantsFile: filepath.Join(dir, "grants.toml"), PolicyFile: policy,
	})
	e := registry.Entry{
		Method: registry.Method{Name: "mine", Kind: registry.KindProcess, URL: "mine", SHA256: strings.Repeat("a", 64), Needs: []string{"forward"}},
		File:   &registry.File{Path: filepath.Join(dir, "methods.toml")},
	}
	if err := host.Allowed(e); err != nil {
		t.Fatal(err)
	}
	ask, err := host.Asks(e)
	if err != nil || ask == nil || !strings.Contains(ask.String(), "to see and change every file that you can; to reach the network") {
		t.Fatalf("asked is %v, %v", ask, err)
	}
	if err := host.Grant(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if ask, err = host.Asks(e); ask != nil || err != nil {
		t.Errorf("after the grant, asked is %v, %v", ask, err)
	}
	for _, text := range []string{"network = false", "unconfined = false"} {
		write(t, policy, "schema = 1\n"+text+"\n")
		if err := host.Allowed(e); core.KindOf(err) != core.KindMethod {
			t.Errorf("%s on %s: %v", text, runtime.GOOS, err)
		}
	}
	if err := os.Remove(policy); err != nil {
		t.Fatal(err)
	}
}

// asks is Asks of a method that a registry file declares.
func asks(host *core.Host, method string) (*registry.Ask, error) {
	e, _, err := host.Method(method)
	if err != nil {
		return nil, err
	}
	return host.Asks(e)
}

func TestRevoke(t *testing.T) {
	o := core.Options{Registry: project(t), GrantsFile: filepath.Join(t.TempDir(), "grants.toml")}
	host := newHost(t, o)
	ask, err := asks(host, "lime")
	if err != nil || ask == nil {
		t.Fatalf("asks = %v, %v", ask, err)
	}
	other := *ask
	other.Grant.Name = "another" // for the same bytes, which would count for lime too
	for _, a := range []*registry.Ask{ask, &other} {
		if err := host.Grant(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if taken, err := host.Revoke(t.Context(), "lime"); err != nil || len(taken) != 2 {
		t.Errorf("Revoke = %v, %v", taken, err)
	}
	if again, err := asks(host, "lime"); err != nil || again == nil || len(again.Needs) == 0 {
		t.Errorf("after it, missing is %v, %v", again, err)
	}
	if taken, err := host.Revoke(t.Context(), "nobody"); err != nil || taken != nil {
		t.Errorf("Revoke of nothing = %v, %v", taken, err)
	}
	write(t, o.GrantsFile, "schema = ")
	if _, err := host.Revoke(t.Context(), "lime"); err == nil {
		t.Error("a broken file of grants was changed")
	}
}
