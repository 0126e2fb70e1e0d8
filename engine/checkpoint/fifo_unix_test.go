//go:build unix

package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestNamedPipe: a named pipe that nobody writes into does not hold Open up.
func TestNamedPipe(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{WeightsFile, ConfigFile} {
		path := filepath.Join(dir, name)
		os.Remove(path)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		var unsupported *UnsupportedError
		if _, err := Open(os.DirFS(dir)); name == ConfigFile && !errors.As(err, &unsupported) {
			t.Errorf("%s as a named pipe: %v", name, err)
		}
		if name == WeightsFile {
			if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(`{}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(os.DirFS(dir)); !errors.As(err, &unsupported) {
				t.Errorf("%s as a named pipe: %v", name, err)
			}
		}
	}
}
