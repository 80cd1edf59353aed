#!/usr/bin/env python3
"""store-conf.py store|policy LIBRARY STORE-TOOL DIRECTORY FIRST LAST: configurations made by chance, as
container-libs reads them (LIBRARY is tests/interop/container-libs/conf) and as we do: the same store or
policy.json, or both refuse. A seed that differs is printed, with its directory left as it is."""
import os
import random
import shutil
import subprocess
import sys

NAMES = ["00.conf", "10-a.conf", "10-b.conf", "9.conf", "Z.conf", "z.conf", "no.conf.bak"]
PATHS = ["/one", "/two/x", "$FOLDER/link/y", "$FOLDER/link", "/run/$UID/s", "/u/$UIDx/${UID}/z", "$NONE/n",
         "${FOLDER}/$UID", "/$SET/${SET}", ""]
STORES = ["/a", "/b/c", "/d,/e"]
DIRECTORIES = ["home/.config/containers", "xdg/containers", "etc/containers", "usr/share/containers"]
KINDS = ["storage.conf.d", "storage.rootful.conf.d", "storage.rootless.conf.d", "storage.rootless.conf.d/4242"]


def quoted(r, text):
    return r.choice(['"%s"', "'%s'"]) % text


def conf(r):
    storage, options = [], []
    for key in "graphroot", "runroot", "rootless_storage_path":
        if r.random() < 0.35:
            storage.append("%s = %s" % (key, quoted(r, r.choice(PATHS))))
    if r.random() < 0.25:
        storage.append("driver = " + quoted(r, r.choice(["overlay", "overlay2", "vfs", ""])))
    if r.random() < 0.15:
        storage.append("imagestore = " + quoted(r, r.choice(["/images", "/two/x", ""])))
    if r.random() < 0.15:
        storage.append("transient_store = " + r.choice(["true", "false"]))
    if r.random() < 0.4:
        items = [quoted(r, s) for s in r.sample(STORES, r.randrange(3))]
        if r.random() < 0.4:
            items.insert(r.randrange(len(items) + 1), "{append = %s}" % r.choice(["true", "true", "false"]))
        options.append("additionalimagestores = [%s]" % ", ".join(items))
    if r.random() < 0.2:
        options.append('[storage.options.overlay]\nmountopt = "nodev"')
    text = "# by chance\n[storage]\n" + "\n".join(storage)
    if options:
        text += "\n[storage.options]\n" + "\n".join(options)
    if r.random() < 0.02:
        text += r.choice(["\n[storage]\n", "\nnot = toml = here\n", "\n'x\n"])
    return text + "\n"


def put(path, r):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    chance = r.random()
    if chance < 0.05:
        os.symlink("/dev/null", path)
    elif chance < 0.1 and ".conf.d/" in path:
        os.symlink("nothing", path)
    elif chance < 0.13 and ".conf.d/" in path:
        os.mkdir(path)
    else:
        with open(path, "w") as f:
            f.write(conf(r))


def environment(folder, r):
    for d in "run", "cwd":
        os.mkdir("%s/%s" % (folder, d))
    env = {"PATH": os.environ["PATH"], "HOME": folder + "/home", "XDG_RUNTIME_DIR": folder + "/run",
           "FOLDER": folder, "SET": "set"}
    if r.random() < 0.4:
        env["XDG_CONFIG_HOME"] = r.choice([folder + "/xdg", folder + "/xdg", folder + "/none", ""])
    if r.random() < 0.5:
        env["_CONTAINERS_ROOTLESS_UID"] = r.choice(["4242", "4242", "0"])
    return env


def make_store(folder, r):
    """The files, and the environment."""
    for d in DIRECTORIES:
        if r.random() < 0.5:
            put("%s/%s/storage.conf" % (folder, d), r)
        for kind in KINDS if "/share" in d or d.startswith("etc") else KINDS[:1]:
            for name in r.sample(NAMES, r.choice([0, 0, 1, 2])):
                put("%s/%s/%s/%s" % (folder, d, kind, name), r)
    os.makedirs(folder + "/real/y")
    os.symlink("real", folder + "/link")
    env = environment(folder, r)
    if r.random() < 0.3:
        env["XDG_DATA_HOME"] = folder + "/data"
    if r.random() < 0.2:
        env["STORAGE_DRIVER"] = r.choice(["vfs", "overlay", ""])
    if r.random() < 0.2:
        env["STORAGE_OPTS"] = r.choice(["", "imagestore=/o", "overlay.mountopt=nodev,Overlay.ImageStore=/o,vfs.imagestore=/v",
                                        ".imagestore=/p"])
    for name in "CONTAINERS_STORAGE_CONF", "CONTAINERS_STORAGE_CONF_OVERRIDE":
        if r.random() < 0.12:
            env[name] = r.choice([folder + "/named", folder + "/absent", "/dev/null", ""])
    put(folder + "/named", r)
    return env


def make_policy(folder, r):
    """Each file has its own scope, by which it is known."""
    def put_policy(path, scope):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        chance = r.random()
        if chance < 0.08:
            os.symlink(r.choice(["nothing", "/dev/null", "other.json"]), path)
        elif chance < 0.12:
            os.mkdir(path)
        else:
            with open(path, "w") as f:
                f.write('{"default": [{"type": "reject"}], "transports": {"dir": {"/%s": [{"type": "%s"}]}}}' % (
                    scope, "unheard-of" if chance < 0.16 else "insecureAcceptAnything"))

    for i, d in enumerate(DIRECTORIES):
        if r.random() < 0.5:
            put_policy("%s/%s/policy.json" % (folder, d), i)
        elif r.random() < 0.1:
            os.makedirs(os.path.dirname("%s/%s" % (folder, d)), exist_ok=True)
            with open("%s/%s" % (folder, d), "w"):
                pass
    put_policy(folder + "/named", "named")
    env = environment(folder, r)
    if r.random() < 0.2:
        env["CONTAINERS_POLICY_JSON"] = r.choice([folder + "/named", folder + "/absent", "named", ""])
    if r.random() < 0.2:
        env["CONTAINERS_POLICY_JSON_OVERRIDE"] = folder + "/named"
    return env


def run(command, folder, env):
    done = subprocess.run(command, env=env, cwd=folder + "/cwd", capture_output=True, text=True, timeout=60)
    if done.returncode < 0:
        sys.exit("%s: signal %d" % (command[0], -done.returncode))
    lines = []
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        lines.append("%s %s" % (key, os.path.normpath(value) if value.startswith("/") else value))
    return (lines if done.returncode == 0 else None), done.stderr


KINDS_OF_FILES = {"store": (make_store, "conf"), "policy": (make_policy, "policy")}


def main():
    kind, library, tool, base, first, last = *sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6])
    make, ours_name = KINDS_OF_FILES[kind]
    refused = wrong = 0
    for seed in range(first, last + 1):
        folder = "%s/%d" % (base, seed)
        os.mkdir(folder)
        env = make(folder, random.Random(seed))
        theirs, why = run([library, kind, folder], folder, env)
        ours, our_why = run([tool, ours_name, folder + "/etc/containers", folder + "/usr/share/containers"], folder, env)
        refused += theirs is None
        if theirs != ours:
            wrong += 1
            print("seed %d: %s\nlibrary: %s %s\nwe:      %s %s" % (seed, env, theirs, why, ours, our_why))
        else:
            shutil.rmtree(folder)
    print("%d configurations, %d refused by both" % (last - first + 1, refused))
    sys.exit(wrong != 0 or refused == last - first + 1)


main()
