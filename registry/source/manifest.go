package source

import (
	"encoding/json"
	"fmt"
	"strings"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/signature"
)

// The media types of an artefact. The first two are those of any WebAssembly
// module; executables have no type that everybody agrees on.
const (
	typeModuleConfig = "application/vnd.wasm.config.v0+json"
	typeModule       = "application/wasm"
	typeMethods      = "application/vnd.xai.method.v1+toml"
	typeSignature    = "application/vnd.xai.signature.v1+minisig"
	typeExecutable   = "application/vnd.xai.executable.v1"
)

// The bounds of a manifest.
const (
	maxManifest = 256 << 10 // bytes
	maxLayers   = 16
)

// ManifestError reports an OCI artefact that is none of a method's, or whose
// manifest is malformed.
type ManifestError struct {
	Address string
	Msg     string // half a sentence
}

// Error returns a sentence.
func (e *ManifestError) Error() string { return e.Address + " holds no method: " + e.Msg }

// manifest is what is read of a manifest. Its annotations, among them names of
// files, mean nothing here.
type manifest struct {
	content   ocispec.Descriptor
	methods   *ocispec.Descriptor // nil where there are none
	signature *ocispec.Descriptor // nil where there is none
}

// parseManifest reads the manifest of an artefact that is to hold content. The
// error is half a sentence.
func parseManifest(data []byte, c registry.Content) (*manifest, error) {
	if len(data) > maxManifest {
		return nil, fmt.Errorf("its manifest has %d bytes and may have %d", len(data), maxManifest)
	}
	var m struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Config        descriptor        `json:"config"`
		Layers        []descriptor      `json:"layers"`
		Manifests     []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("its manifest is not JSON of the right form")
	}
	switch {
	case m.Manifests != nil || m.MediaType == ocispec.MediaTypeImageIndex:
		return nil, fmt.Errorf("it is an index of several artefacts; name one of them by its digest")
	case m.SchemaVersion != 2 || m.MediaType != "" && m.MediaType != ocispec.MediaTypeImageManifest:
		return nil, fmt.Errorf("its manifest is no %s", ocispec.MediaTypeImageManifest)
	case c == registry.ContentModule && m.Config.MediaType != typeModuleConfig:
		return nil, fmt.Errorf("its configuration is of the type %s and should be %s", document.Quote(m.Config.MediaType), typeModuleConfig)
	case len(m.Layers) > maxLayers:
		return nil, fmt.Errorf("it has %d layers and may have %d", len(m.Layers), maxLayers)
	}
	want := typeModule
	if c == registry.ContentExecutable {
		want = typeExecutable
	}
	var out manifest
	found := map[string]*ocispec.Descriptor{}
	for _, layer := range m.Layers {
		var most int64
		switch layer.MediaType {
		case want:
			most = c.Limit()
		case typeMethods:
			most = document.MaxSize
		case typeSignature:
			most = signature.MaxSize
		default:
			continue // a licence, a README
		}
		if found[layer.MediaType] != nil {
			return nil, fmt.Errorf("it has several layers of the type %s", layer.MediaType)
		}
		d, err := layer.check(most)
		if err != nil {
			return nil, err
		}
		found[layer.MediaType] = d
	}
	if found[want] == nil {
		return nil, fmt.Errorf("it has no layer of the type %s", want)
	}
	out.content, out.methods, out.signature = *found[want], found[typeMethods], found[typeSignature]
	return &out, nil
}

// descriptor is what is read of a descriptor.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// check holds a descriptor to its bounds.
func (d descriptor) check(most int64) (*ocispec.Descriptor, error) {
	hex, ok := strings.CutPrefix(d.Digest, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("its layer of the type %s has the digest %s and should have one by sha256", d.MediaType, document.Quote(d.Digest))
	}
	if d.Size < 1 || d.Size > most {
		return nil, fmt.Errorf("its layer of the type %s has %d bytes and may have from 1 to %d", d.MediaType, d.Size, most)
	}
	return &ocispec.Descriptor{MediaType: d.MediaType, Digest: digestOf(hex), Size: d.Size}, nil
}

// blob is content with its descriptor.
type blob struct {
	ocispec.Descriptor
	data []byte
}

func newBlob(mediaType string, data []byte) blob {
	return blob{content.NewDescriptorFromBytes(mediaType, data), data}
}

// buildManifest returns the blobs of an artefact, and its manifest. They are the
// same for the same package.
func buildManifest(p Package) (blobs []blob, m blob, err error) {
	out := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	add := func(mediaType string, data []byte) {
		if len(data) > 0 {
			b := newBlob(mediaType, data)
			blobs = append(blobs, b)
			out.Layers = append(out.Layers, b.Descriptor)
		}
	}
	var config blob
	if p.Content == registry.ContentExecutable {
		config = newBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
		out.ArtifactType = typeExecutable
		add(typeExecutable, p.Data)
	} else {
		text, err := json.Marshal(map[string]any{
			"architecture": "wasm", "os": "wasip1", "layerDigests": []string{newBlob(typeModule, p.Data).Digest.String()},
		})
		if err != nil {
			return nil, blob{}, err
		}
		config = newBlob(typeModuleConfig, text)
		add(typeModule, p.Data)
	}
	add(typeMethods, p.Methods)
	add(typeSignature, p.Signature)
	out.Config = config.Descriptor
	text, err := json.Marshal(out)
	if err != nil {
		return nil, blob{}, err
	}
	return append(blobs, config), newBlob(ocispec.MediaTypeImageManifest, text), nil
}
