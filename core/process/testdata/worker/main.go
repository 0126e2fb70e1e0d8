// Command worker is the least program that can be started as a shim and a worker.
package main

import (
	"os"

	"github.com/xai-go/xai/core/process"
)

func main() {
	process.WorkerMain()
	os.Exit(1)
}
