package registry_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/xai-go/xai/registry"
)

const file = `schema = 1
[[method]]
name    = "mine"
kind    = "wasm"
url     = "mine.wasm"
sha256  = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
abi     = "1.0"
version = "1.0.0"
needs   = ["forward"]
[method.limits]
memory = "2GiB"
`

// A registry file is searched for, and its method held to the machine's policy,
// the project's lock and the user's grants before it is loaded.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "methods.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	list, err := registry.Search(path, func(string) string { return "" }, dir, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := list.Find("mine")
	if err != nil {
		fmt.Println(err)
		return
	}

	policy, err := registry.ParsePolicy([]byte("schema = 1\n[limits]\nmemory = \"1GiB\"\n"), "policy.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	limits := policy.Clamp(e.Limits, registry.Limits{Memory: 64 << 20})
	fmt.Println("allowed:", policy.Check(e) == nil, "with", limits.Memory>>20, "MiB")

	lock := registry.NewLock(e.File, nil)
	e.Version = "1.1.0"
	for _, d := range lock.Check(e) {
		fmt.Println("locked:", d.Field, d.Locked, "found:", d.Found)
	}

	ask, err := new(registry.Grants).Missing(e, "linux", "amd64")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ask)
	// Output:
	// allowed: true with 1024 MiB
	// locked: version 1.0.0 found: 1.1.0
	// method mine (sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08) wants to use the model's forward
}
