// Command plugin serves methods for tests. What it is called says whether it speaks
// the protocol: "plugin" does.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/sdk/process"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "plugin":
		process.Serve(method.Method{}, breakout{})
	case "hello-exit":
		fmt.Fprintln(os.Stderr, "there is nothing to serve")
		os.Exit(3)
	case "hello-silent":
		hang()
	case "hello-closed":
		os.Stdout.Close()
		hang()
	case "hello-garbage":
		fmt.Println("\x1b[31mhello\x1b[0m | world")
		hang()
	case "hello-long":
		fmt.Print(strings.Repeat("x", 1<<20))
		hang()
	case "hello-slow":
		for {
			fmt.Print("1")
			time.Sleep(10 * time.Millisecond)
		}
	case "hello-flood":
		for {
			fmt.Println("1|1|unix|/nowhere|netrpc|")
		}
	case "hello-shout":
		for {
			fmt.Fprint(os.Stderr, "no end of line")
		}
	case "hello-late": // in the second line
		fmt.Println("starting …")
		mute()
	case "hello-version":
		fmt.Println("1|2|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/s|grpc|")
		hang()
	case "hello-elsewhere":
		fmt.Println("1|1|unix|/run/docker.sock|grpc|")
		hang()
	case "hello-tcp":
		fmt.Println("1|1|tcp|127.0.0.1:22|grpc|")
		hang()
	case "hello-nobody":
		fmt.Println("1|1|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/s|grpc|")
		hang()
	case "hello-certificate":
		fmt.Println("1|1|unix|" + os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/s|grpc|" + strings.Repeat("A", 100))
		hang()
	case "hello-mute":
		mute()
	default:
		serveRaw(name)
	}
}

// hang waits for good, and is not ended by what can be ignored.
func hang() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for {
		time.Sleep(time.Hour)
	}
}
