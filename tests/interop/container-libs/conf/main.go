// SPDX-License-Identifier: Apache-2.0

// What container-libs finds by its configuration, with DIR/etc/containers and DIR/usr/share/containers for the
// system's; store-tool prints the same lines:
//
//	conf store DIR             the store ("store-tool conf ETC USR")
//	conf policy DIR            the dir: scopes of policy.json ("store-tool policy ETC USR")
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.podman.io/image/v5/signature"
	itypes "go.podman.io/image/v5/types"
	"go.podman.io/storage/types"
)

// The additional image stores of a driver's option, as the drivers read it.
func additional(option, driver string) []string {
	key, value, _ := strings.Cut(option, "=")
	if of, rest, ok := strings.Cut(strings.ToLower(key), "."); ok {
		if of != driver && of != "" && driver != "" {
			return nil
		}
		key = rest
	}
	if strings.EqualFold(key, "imagestore") && value != "" {
		return strings.Split(value, ",")
	}
	return nil
}

func store(dir string) error {
	o, err := types.LoadStoreOptions(types.LoadOptions{RootForImplicitAbsolutePaths: dir})
	if err != nil {
		return err
	}
	fmt.Printf("root %s\nrunroot %s\nimagestore %s\ndriver %s\ntransient %v\n",
		o.GraphRoot, o.RunRoot, o.ImageStore, o.GraphDriverName, o.TransientStore)
	for _, option := range o.GraphDriverOptions {
		for _, store := range additional(option, o.GraphDriverName) {
			fmt.Println("additional", store)
		}
	}
	return nil
}

func policy(sys *itypes.SystemContext) error {
	p, err := signature.DefaultPolicy(sys)
	if err != nil {
		return err
	}
	for _, scope := range slices.Sorted(maps.Keys(p.Transports["dir"])) {
		fmt.Println("scope", scope)
	}
	return nil
}

func main() {
	var err error
	sys := &itypes.SystemContext{RootForImplicitAbsolutePaths: os.Args[2]}
	switch os.Args[1] {
	case "store":
		err = store(os.Args[2])
	case "policy":
		err = policy(sys)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conf:", err)
		os.Exit(1)
	}
}
