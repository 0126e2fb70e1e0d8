package signature_test

import (
	"fmt"
	"strings"

	"github.com/xai-go/xai/registry/signature"
)

// An author signs a module; whoever knows the public key verifies it.
func Example() {
	key, err := signature.Generate()
	if err != nil {
		fmt.Println(err)
		return
	}
	sig, err := key.Sign(strings.NewReader("the module"), "shapely-ish 1.2.0")
	if err != nil {
		fmt.Println(err)
		return
	}
	public, err := signature.ParsePublicKey(key.Public().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(signature.Verify(public, strings.NewReader("the module"), sig))
	fmt.Println(signature.Verify(public, strings.NewReader("another one"), sig))
	// Output:
	// <nil>
	// the signature does not fit the bytes; either of them was changed, or somebody else signed
}
