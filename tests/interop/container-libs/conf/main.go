// SPDX-License-Identifier: Apache-2.0

// What container-libs finds by its configuration, with DIR/etc/containers and DIR/usr/share/containers for the
// system's; store-tool prints the same lines:
//
//	conf store DIR             the store ("store-tool conf ETC USR")
//	conf registries DIR        what the short names on stdin stand for ("store-tool registries ETC USR")
//	conf policy DIR            the dir: scopes of policy.json ("store-tool policy ETC USR")
package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
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

func registries(sys *itypes.SystemContext) error {
	search, err := sysregistriesv2.UnqualifiedSearchRegistries(sys)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println("name", lines.Text())
		ref, err := reference.Parse(lines.Text())
		if err != nil {
			return err
		}
		name := reference.TrimNamed(ref.(reference.Named)).String()
		alias, _, err := sysregistriesv2.ResolveShortNameAlias(sys, name)
		if err != nil {
			return err
		}
		if alias != nil {
			fmt.Println(alias)
		}
		for _, registry := range append([]string{"localhost"}, search...) {
			full, err := reference.ParseNormalizedNamed(registry + "/" + name)
			if err != nil {
				return err
			}
			fmt.Println(full)
		}
	}
	return lines.Err()
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
	case "registries":
		err = registries(sys)
	case "policy":
		err = policy(sys)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conf:", err)
		os.Exit(1)
	}
}
