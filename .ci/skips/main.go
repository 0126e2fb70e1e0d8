// Command skips reads the output of go test -json, prints what people want to
// see of it, and fails where a test failed, or was skipped for a reason that
// does not hold on this machine:
//
//	go test -json ./... | go run ./.ci/skips
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
)

// assets is where models and vocabularies that are not part of the project
// lie, on machines that have them.
const assets = "../shared/assets"

// reasons are those for which a test may be skipped, where they hold.
var reasons = []struct {
	says  *regexp.Regexp
	holds bool
}{
	{regexp.MustCompile(`assets.* (is|are) (not present|absent|missing)`), !exists(assets)},
	{regexp.MustCompile(`permissions do not bind this user`), os.Geteuid() == 0 || runtime.GOOS == "windows"},
	{regexp.MustCompile(`this system makes no symbolic links`), runtime.GOOS == "windows"},
}

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func main() {
	var failed, passed, skipped int
	var left []string
	output := map[string]*strings.Builder{} // of each running test
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			fmt.Println(in.Text()) // what go itself says
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
			continue
		case "build-fail":
			failed++
		case "fail":
			failed++
			fmt.Printf("FAIL %s\n%s", key, output[key])
			if e.Test == "" { // those that it left running have no end of their own
				for running, said := range output {
					if strings.HasPrefix(running, e.Package+" ") && running != key {
						fmt.Printf("LEFT %s\n%s", running, said)
						left = append(left, running)
						delete(output, running)
					}
				}
			}
		case "pass":
			passed++
			if e.Test == "" {
				fmt.Printf("ok   %s%7.1f s\n", key, e.Elapsed)
			}
		case "skip":
			if e.Test == "" {
				break // a package without tests
			}
			if said := output[key].String(); excused(said) {
				skipped++
			} else {
				failed++
				fmt.Printf("SKIP %s, for a reason that does not hold here\n%s", key, said)
			}
		default:
			continue
		}
		delete(output, key)
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d skipped with reason, %d failed\n", passed, skipped, failed)
	for _, running := range left {
		fmt.Println("did not end:", running)
	}
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// excused reports whether a skipped test had reason to be.
func excused(said string) bool {
	for _, r := range reasons {
		if r.holds && r.says.MatchString(said) {
			return true
		}
	}
	return false
}
