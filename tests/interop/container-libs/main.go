// SPDX-License-Identifier: Apache-2.0

// container-libs-compat makes stores by the library that owns them and reads them by it:
//
//	compat copy  STORE… oci:LAYOUT:TAG NAME    an image into a store
//	compat diffs STORE… NAME DIR               every layer by Diff: DIR/0.tar, 1.tar …; "refused" where Diff fails
//	compat lock  STORE… SECONDS                holds the layers' lock for writing, prints "locked"
//
// STORE… is -root DIR -runroot DIR [-driver NAME] [-imagestore DIR] [-transient] [-opt KEY=VALUE]…
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/signature"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/lockfile"
	"go.podman.io/storage/pkg/reexec"
)

type list []string

func (l *list) String() string     { return fmt.Sprint(*l) }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func openStore(name string, args []string) (storage.Store, []string, error) {
	var options storage.StoreOptions
	var driverOptions list
	f := flag.NewFlagSet(name, flag.ExitOnError)
	f.StringVar(&options.GraphRoot, "root", "", "")
	f.StringVar(&options.RunRoot, "runroot", "", "")
	f.StringVar(&options.GraphDriverName, "driver", "overlay", "")
	f.StringVar(&options.ImageStore, "imagestore", "", "")
	f.BoolVar(&options.TransientStore, "transient", false, "")
	f.Var(&driverOptions, "opt", "")
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	options.GraphDriverOptions = driverOptions
	store, err := storage.GetStore(options)
	return store, f.Args(), err
}

func copyImage(store storage.Store, source, name string) error {
	from, err := alltransports.ParseImageName(source)
	if err != nil {
		return err
	}
	to, err := istorage.Transport.ParseStoreReference(store, name)
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{
		Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	_, err = copy.Image(context.Background(), policy, to, from, &copy.Options{})
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
		return fmt.Errorf("usage: compat copy|diffs|lock …")
	}
	store, args, err := openStore(os.Args[1], os.Args[2:])
	if err != nil {
		return err
	}
	defer store.Shutdown(false)
	switch {
	case os.Args[1] == "copy" && len(args) == 2:
		return copyImage(store, args[0], args[1])
	case os.Args[1] == "diffs" && len(args) == 2:
		return diffs(store, args[0], args[1])
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
