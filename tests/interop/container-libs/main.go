// SPDX-License-Identifier: Apache-2.0

// container-libs-compat makes stores by the library that owns them and reads them by it:
//
//	compat copy  STORE… SOURCE NAME      an image into a store
//	compat push  SOURCE docker://…       an image into a registry, its layers zstd:chunked
//	compat diffs STORE… NAME DIR         every layer by Diff: DIR/0.tar, 1.tar …; "refused" where Diff fails;
//	                                     ID-mapped copies of the top layer as DIR/mapped-0.tar, …
//	compat container STORE… NAME HOST:N  a container of an image, its N ids from HOST on
//	compat lock  STORE… SECONDS          holds the layers' lock for writing, prints "locked"
//
// STORE… is -root DIR -runroot DIR [-driver NAME] [-imagestore DIR] [-transient] [-idmap HOST:N]
// [-opt KEY=VALUE]… [-pull KEY=VALUE]…
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/signature"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/idtools"
	"go.podman.io/storage/pkg/lockfile"
	"go.podman.io/storage/pkg/reexec"
)

type list []string

func (l *list) String() string     { return fmt.Sprint(*l) }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func openStore(name string, args []string) (storage.Store, []string, error) {
	var options storage.StoreOptions
	var driverOptions, pullOptions list
	var idmap string
	f := flag.NewFlagSet(name, flag.ExitOnError)
	f.StringVar(&options.GraphRoot, "root", "", "")
	f.StringVar(&options.RunRoot, "runroot", "", "")
	f.StringVar(&options.GraphDriverName, "driver", "overlay", "")
	f.StringVar(&options.ImageStore, "imagestore", "", "")
	f.BoolVar(&options.TransientStore, "transient", false, "")
	f.Var(&driverOptions, "opt", "")
	f.Var(&pullOptions, "pull", "")
	f.StringVar(&idmap, "idmap", "", "")
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	options.GraphDriverOptions = driverOptions
	options.PullOptions = map[string]string{}
	for _, o := range pullOptions {
		key, value, _ := strings.Cut(o, "=")
		options.PullOptions[key] = value
	}
	if idmap != "" {
		m, err := parseMap(idmap)
		if err != nil {
			return nil, nil, err
		}
		options.UIDMap, options.GIDMap = m, m
	}
	store, err := storage.GetStore(options)
	return store, f.Args(), err
}

// HOST:N is N ids of a container, from 0 on, as those of the host from HOST on.
func parseMap(text string) ([]idtools.IDMap, error) {
	var m idtools.IDMap
	_, err := fmt.Sscanf(text, "%d:%d", &m.HostID, &m.Size)
	return []idtools.IDMap{m}, err
}

func copyImage(source string, to types.ImageReference, destination *types.SystemContext) error {
	from, err := alltransports.ParseImageName(source)
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{
		Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	_, err = copy.Image(context.Background(), policy, to, from, &copy.Options{
		SourceCtx:      &types.SystemContext{DockerInsecureSkipTLSVerify: types.OptionalBoolTrue},
		DestinationCtx: destination,
	})
	return err
}

func copyToStore(store storage.Store, source, name string) error {
	to, err := istorage.Transport.ParseStoreReference(store, name)
	if err != nil {
		return err
	}
	return copyImage(source, to, nil)
}

func push(source, name string) error {
	to, err := alltransports.ParseImageName(name)
	if err != nil {
		return err
	}
	return copyImage(source, to, &types.SystemContext{
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
		CompressionFormat:           &compression.ZstdChunked,
	})
}

func container(store storage.Store, image, ids string) error {
	m, err := parseMap(ids)
	if err != nil {
		return err
	}
	options := storage.ContainerOptions{}
	options.UIDMap, options.GIDMap = m, m
	_, err = store.CreateContainer("", nil, image, "", "", &options)
	return err
}

func writeDiff(store storage.Store, layer, path string) error {
	// Without the option the layer comes compressed as it was pulled.
	plain := archive.Uncompressed
	diff, err := store.Diff("", layer, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return err
	}
	defer diff.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, diff)
	return err
}

func diffs(store storage.Store, name, dir string) error {
	image, err := store.Image(name)
	if err != nil {
		return err
	}
	var chain []string
	for id := image.TopLayer; id != ""; {
		layer, err := store.Layer(id)
		if err != nil {
			return err
		}
		chain = append([]string{id}, chain...)
		id = layer.Parent
	}
	for i, id := range chain {
		path := filepath.Join(dir, strconv.Itoa(i)+".tar")
		if err := writeDiff(store, id, path); err != nil {
			os.Remove(path)
			fmt.Printf("%d refused: %v\n", i, err)
			continue
		}
		fmt.Printf("%d\n", i)
	}
	for i, id := range image.MappedTopLayers {
		if err := writeDiff(store, id, filepath.Join(dir, fmt.Sprintf("mapped-%d.tar", i))); err != nil {
			return err
		}
	}
	return nil
}

func lock(store storage.Store, seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	l, err := lockfile.GetLockFile(filepath.Join(store.GraphRoot(), store.GraphDriverName()+"-layers", "layers.lock"))
	if err != nil {
		return err
	}
	l.Lock()
	fmt.Println("locked")
	time.Sleep(time.Duration(n) * time.Second)
	l.Unlock()
	return nil
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: compat copy|push|diffs|container|lock …")
	}
	if os.Args[1] == "push" && len(os.Args) == 4 {
		return push(os.Args[2], os.Args[3])
	}
	store, args, err := openStore(os.Args[1], os.Args[2:])
	if err != nil {
		return err
	}
	defer store.Shutdown(false)
	switch {
	case os.Args[1] == "copy" && len(args) == 2:
		return copyToStore(store, args[0], args[1])
	case os.Args[1] == "diffs" && len(args) == 2:
		return diffs(store, args[0], args[1])
	case os.Args[1] == "container" && len(args) == 2:
		return container(store, args[0], args[1])
	case os.Args[1] == "lock" && len(args) == 1:
		return lock(store, args[0])
	}
	return fmt.Errorf("what is %v?", os.Args[1:])
}

func main() {
	// The library runs this program again to unpack layers in a chroot.
	if reexec.Init() {
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}
