// SPDX-License-Identifier: Apache-2.0

// conf DIR prints the store that container-libs finds by its configuration, with DIR/etc/containers and
// DIR/usr/share/containers for the system's; "store-tool conf" prints the same lines.
package main

import (
	"fmt"
	"os"
	"strings"

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

func main() {
	o, err := types.LoadStoreOptions(types.LoadOptions{RootForImplicitAbsolutePaths: os.Args[1]})
	if err != nil {
		fmt.Fprintln(os.Stderr, "conf:", err)
		os.Exit(1)
	}
	fmt.Printf("root %s\nrunroot %s\nimagestore %s\ndriver %s\ntransient %v\n",
		o.GraphRoot, o.RunRoot, o.ImageStore, o.GraphDriverName, o.TransientStore)
	for _, option := range o.GraphDriverOptions {
		for _, store := range additional(option, o.GraphDriverName) {
			fmt.Println("additional", store)
		}
	}
}
