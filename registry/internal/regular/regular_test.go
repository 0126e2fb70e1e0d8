package regular

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file, link, folder := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "folder")
	if err := os.WriteFile(file, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		link = "" // not everybody may make one on Windows
	}
	for _, c := range []struct {
		path string
		most int64
		want string // in the error; empty where it is read
	}{
		{file, 4, ""},
		{file, 3, "has more than 3 bytes"},
		{link, 4, "is a symbolic link"},
		{folder, 4, "is a folder"},
		{filepath.Join(dir, "none"), 4, "none"},
	} {
		if c.path == "" {
			continue
		}
		data, err := Read(c.path, c.most)
		switch {
		case c.want == "" && (err != nil || string(data) != "four"):
			t.Errorf("Read(%s) = %q, %v", c.path, data, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("Read(%s, %d): error %v, want %q", c.path, c.most, err, c.want)
		}
	}
	if info, err := os.Stat(file); err != nil || !Owned(info) {
		t.Errorf("a file of one's own is not: %v", err)
	}
}
