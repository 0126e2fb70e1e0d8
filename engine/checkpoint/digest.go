package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Digest returns a SHA-256 of the model in hexadecimal: of the lines
// "DIGEST  NAME" for its configuration, for the index of the weights where there
// is one, and for the files of weights in the order of their names. That is what
//
//	sha256sum config.json model.safetensors | sha256sum
//	sha256sum config.json model.safetensors.index.json model-*-of-*.safetensors | sha256sum
//
// print. Digest reads the weights again, and fails if they are not those that
// were opened, judged by size and time.
func (c *Checkpoint) Digest(ctx context.Context) (string, error) {
	lines := sha256.New()
	fmt.Fprintf(lines, "%s  %s\n", c.Config.Digest(), ConfigFile)
	for _, f := range c.files {
		digest, err := c.digest(ctx, f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(lines, "%s  %s\n", digest, f.name)
	}
	return hex.EncodeToString(lines.Sum(nil)), nil
}

// digest returns the SHA-256 of one file.
func (c *Checkpoint) digest(ctx context.Context, f *file) (string, error) {
	changed := fmt.Errorf("checkpoint: %s has changed since the model was opened: open it again", f.name)
	again, err := openFile(c.fsys, f.name)
	if err != nil {
		return "", err
	}
	defer again.Close()
	if again.size != f.size || !again.time.Equal(f.time) {
		return "", changed
	}
	hash := sha256.New()
	buffer := make([]byte, 1<<20)
	total := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := again.Read(buffer)
		hash.Write(buffer[:n])
		total += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", fmt.Errorf("checkpoint: computing the digest of %s: %w", f.name, err)
		}
	}
	if total != f.size {
		return "", changed
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
