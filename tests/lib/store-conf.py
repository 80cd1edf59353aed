#!/usr/bin/env python3
"""store-conf.py store|registries|policy LIBRARY STORE-TOOL DIRECTORY FIRST LAST: configurations made by chance, as
container-libs reads them (LIBRARY is tests/interop/container-libs/conf) and as we do: the same store, meaning
of short names or policy.json, or both refuse. A seed that differs is printed, with its directory left as it is."""
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


SHORT = ["a", "b/c", "debian", "d.e", "x_y/z", "q:t"]
LOCATIONS = ["r.example", "r.example/", "s.example:5000/ns", "t.example//", "localhost"]


def registry(r, strange):
    """A [[registry]], seldom one that is refused."""
    def text():
        return quoted(r, r.choice(LOCATIONS))

    def truth(name, chance=0.3):
        return ["%s = %s" % (name, r.choice(["true", "false", '"true"'] if r.random() < strange else ["false"]))] \
            if r.random() < chance else []

    lines = ["location = " + text()] if r.random() < 1 - strange else r.choice([
        [], ['location = "https://r.example"'], ["location = 5"], ['location = ""'], ['location = "//"']])
    if r.random() < 0.4:
        lines.append("prefix = " + (text() if r.random() < 1 - strange else quoted(r, r.choice(
            ["*.example.com", "*.example.com/a", "*.example.com:5", "http://x", "", "*."]))))
    lines += truth("insecure") + truth("Blocked" if r.random() < 0.1 else "blocked") + truth("mirror-by-digest-only")
    if r.random() < strange:
        lines.append(r.choice(['pull-from-mirror = "all"', 'pull-from-mirror = ""', "unknown = 5", "namespace-proxy = 1",
                               'namespace-proxy = "x"', "mirror = []", 'mirror = ["x"]', 'mirror = "x"', "location = 'z.example'",
                               "mirror = [{location = 'm.example'}, {location = 'n.example', insecure = true}]",
                               "mirror = [{location = 'm.example', pull-from-mirror = 'digest-only'}]", "mirror = [{}]"]))
    for _ in range(r.choice([0, 0, 1, 2])):
        lines.append("[[registry.mirror]]")
        lines += ["location = " + text()] if r.random() < 1 - strange else r.choice([[], ['location = "http://m"']])
        if r.random() < 0.3:
            lines.append("pull-from-mirror = " + quoted(r, r.choice(["all", "digest-only", "tag-only"] + ["never"] * (r.random() < strange))))
        lines += truth("insecure")
    return lines


def registries_conf(r, strange):
    lines = []
    if r.random() < 0.4:
        hosts = r.sample(["one.example", "two.example/", "three:5000", "localhost"], r.randrange(3))
        if r.random() < strange:
            hosts.append(r.choice(["https://x", "a/b", "", "-a", "a-", "a..b", "a.", "a:", "a:b", "[::1]", "a-b.c:1"]))
        lines.append("unqualified-search-registries = [%s]" % ", ".join(quoted(r, h) for h in hosts))
    if r.random() < 0.2:
        lines.append("short-name-mode = " + (quoted(r, r.choice(["disabled", "enforcing", "permissive", ""])) if r.random() < 1 - strange
                                             else r.choice(["5", '"maybe"', "true"])))
    if r.random() < strange:
        lines.append(r.choice(['unqualified-search-registries = "x"', "unqualified-search-registries = [{append=true}]",
                               "credential-helpers = ['x']", "credential-helpers = 'x'", "aliases = 'x'", "registry = []",
                               "registry = ['x']", "registry = [{location = 'i.example'}, {prefix = '*.i.example'}]",
                               "registry = [{mirror = [{location = 'm.example'}], location = 'i.example'}]",
                               "additional-layer-store-auth-helper = 1", "unheard-of = 'x'", "Short-Name-Mode = 'disabled'"]))
    if r.random() < 0.5:
        lines.append("[aliases]")
        for name in r.sample(SHORT[:4] + ["x_y/z"], r.randrange(1, 4)):
            lines.append('"%s" = %s' % (name, quoted(r, r.choice(["", "r.example/a", "docker.io/a", "localhost/b/c", "h:5000/x"]))))
        if r.random() < strange:
            lines.append(r.choice(['"t:ag" = "r.example/a"', '"r.example/z" = "r.example/a"', '"z" = "short"', '"z" = "a/b"',
                                   '"z" = "r.example/a:tag"', '"z" = "r.example/A"', '"z" = 5', 'z.y = "r.example/a"',
                                   '"Up/per" = "r.example/up"', '"z" = "Up/per"', '"UP" = ""', '"a" = ""']))
    for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
        lines += ["[[registry]]"] + registry(r, strange)
    if r.random() < strange:
        lines.append(r.choice(["[registries.search]\nregistries = ['x']", "[registries.search]\nregistries = []",
                               "[registries.block]\nother = 1", "[registries]\nsearch = 1", "[registries]\nother = 1", "[registries.insecure]\nregistries = ['x']", "[registry.x]\ny = 1",
                               "[[registry]", "[[registry.mirror]]\nlocation = 'm'", "[registry]\nlocation = 'x'"]))
    return "\n".join(lines) + "\n"


def make_registries(folder, r):
    strange = r.choice([0, 0, 0.05, 0.15])

    def put_registries(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        chance = r.random()
        if chance < 0.04:
            os.symlink(r.choice(["/dev/null", "nothing"]), path)
        elif chance < 0.06 and ".conf.d/" in path:
            os.mkdir(path)
        else:
            with open(path, "w") as f:
                f.write(registries_conf(r, strange))

    for d in DIRECTORIES:
        if r.random() < 0.5:
            put_registries("%s/%s/registries.conf" % (folder, d))
        for kind in KINDS if "/share" in d or d.startswith("etc") else KINDS[:1]:
            for name in r.sample(NAMES, r.choice([0, 0, 1, 2])):
                put_registries("%s/%s/%s/%s" % (folder, d, kind.replace("storage", "registries"), name))
    put_registries(folder + "/named")
    env = environment(folder, r)
    for name in "CONTAINERS_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF_OVERRIDE":
        if r.random() < 0.12:
            env[name] = r.choice([folder + "/named", folder + "/absent", "/dev/null", ""])
    if r.random() < 0.3:
        env["XDG_CACHE_HOME"] = r.choice([folder + "/cache", ""])
    if r.random() < 0.3:
        put_registries(folder + "/cache/containers/short-name-aliases.conf")
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
    done = subprocess.run(command, env=env, cwd=folder + "/cwd", capture_output=True, text=True, timeout=60,
                          input="\n".join(SHORT) + "\n")
    if done.returncode < 0:
        sys.exit("%s: signal %d" % (command[0], -done.returncode))
    lines = []
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        lines.append("%s %s" % (key, os.path.normpath(value) if value.startswith("/") else value))
    return (lines if done.returncode == 0 else None), done.stderr


KINDS_OF_FILES = {"store": (make_store, "conf"), "registries": (make_registries, "registries"),
                  "policy": (make_policy, "policy")}


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
