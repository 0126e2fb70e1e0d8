// Package ocitest is an OCI registry in memory, for tests.
package ocitest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// maxBlob bounds what is uploaded, in bytes.
const maxBlob = 64 << 20

// Registry is an OCI registry that takes everything from everybody. The zero
// Registry is empty and ready. It serves several requests at once.
type Registry struct {
	mu        sync.Mutex
	blobs     map[string][]byte // by digest
	manifests map[string][]byte // by repository and tag or digest
	requests  int
}

// Requests returns how many requests there were.
func (r *Registry) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// ServeHTTP answers as the OCI distribution specification has it.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	path := strings.TrimPrefix(q.URL.Path, "/v2/")
	repository, blob, isBlob := strings.Cut(path, "/blobs/")
	if !isBlob {
		var ok bool
		if repository, blob, ok = strings.Cut(path, "/manifests/"); !ok {
			w.WriteHeader(http.StatusOK) // the base of the API
			return
		}
	}
	held := &r.blobs
	key := blob
	if !isBlob {
		held, key = &r.manifests, repository+"/"+blob
	}
	switch q.Method {
	case http.MethodPost:
		w.Header().Set("Location", strings.TrimSuffix(q.URL.Path, "/")+"/1")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		data, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBlob))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		sum := sha256.Sum256(data)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		if *held == nil {
			*held = map[string][]byte{}
		}
		if isBlob {
			(*held)[digest] = data
		} else {
			(*held)[key], (*held)[repository+"/"+digest] = data, data
		}
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
	case http.MethodGet, http.MethodHead:
		data, ok := (*held)[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		sum := sha256.Sum256(data)
		w.Header().Set("Docker-Content-Digest", "sha256:"+hex.EncodeToString(sum[:]))
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Header().Set("Content-Type", "application/octet-stream")
		if !isBlob {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		}
		if q.Method == http.MethodGet {
			_, _ = w.Write(data)
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
