#!/usr/bin/python3
"""Answers as launchctl of macOS 10.11 and later does, as far as portoser asks: bootstrap, bootout, kickstart, kill, print.

A stand-in for a Mac, which it is not: jobs are processes of this host, kept by a small keeper each, and their state lies in a folder.
"""
import os, plistlib, signal, subprocess, sys, time

STATE = "/var/lib/fake-launchd"


def place(target):
    return os.path.join(STATE, target.replace("/", "."))


def read(name, at):
    try:
        with open(os.path.join(at, name)) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def write(name, at, text):
    with open(os.path.join(at, name + ".tmp"), "w") as file:
        file.write(str(text))
    os.replace(os.path.join(at, name + ".tmp"), os.path.join(at, name))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, IndexError):
        return False


def keep(at):
    """Runs the job, again and again where it says KeepAlive."""
    with open(os.path.join(at, "plist"), "rb") as file:
        job = plistlib.load(file)
    write("keeper", at, os.getpid())
    while True:
        with open(job["StandardOutPath"], "ab") as log:
            child = subprocess.Popen(
                job["ProgramArguments"], cwd=job.get("WorkingDirectory", "/"), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={"PATH": "/usr/bin:/bin", **job.get("EnvironmentVariables", {})}, start_new_session=True)
        write("pid", at, child.pid)
        write("runs", at, int(read("runs", at) or 0) + 1)
        code = child.wait()
        again = job.get("KeepAlive", False)
        if isinstance(again, dict):
            again = code != 0
        time.sleep(0.2)
        # Another keeper may have the place by now.
        if not again or read("keeper", at) != str(os.getpid()):
            return


def spawn(at):
    subprocess.Popen([sys.executable, __file__, "keep", at], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)
    for _ in range(100):
        if read("pid", at):
            return
        time.sleep(0.05)


def end(at):
    write("keeper", at, "")
    pid = read("pid", at)
    if pid and alive(pid):
        os.kill(int(pid), signal.SIGTERM)
    for _ in range(20):
        if not (pid and alive(pid)):
            break
        time.sleep(0.05)
    else:
        # It goes when its process has gone; nobody waits for that here.
        subprocess.Popen([sys.executable, __file__, "bury", at, pid], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
        print("Boot-out failed: 36: Operation now in progress", file=sys.stderr)
        sys.exit(36)
    bury(at)


def bury(at, pid=""):
    while pid and alive(pid):
        time.sleep(0.05)
    for name in os.listdir(at):
        os.remove(os.path.join(at, name))
    os.rmdir(at)


def missing(target):
    print(f'Could not find service "{target.rsplit("/", 1)[1]}" in domain for system', file=sys.stderr)
    sys.exit(113)


def main(verb, *words):
    if verb == "keep":
        return keep(words[0])
    if verb == "bury":
        return bury(*words)
    if verb == "bootstrap":
        domain, path = words
        with open(path, "rb") as file:
            label = plistlib.load(file)["Label"]
        at = place(f"{domain}/{label}")
        if os.path.isdir(at):
            print("Bootstrap failed: 5: Input/output error", file=sys.stderr)
            sys.exit(5)
        os.makedirs(at)
        with open(path, "rb") as source, open(os.path.join(at, "plist"), "wb") as to:
            to.write(source.read())
        return spawn(at)
    target = words[-1]
    at = place(target)
    if not os.path.isdir(at):
        missing(target)
    pid = read("pid", at)
    if verb == "bootout":
        end(at)
    elif verb == "kickstart":
        if not (pid and alive(pid)):
            spawn(at)
    elif verb == "kill":
        os.kill(int(pid), getattr(signal, words[0]))
    elif verb == "print":
        runs, state = read("runs", at), "running" if pid and alive(pid) else "not running"
        print(f"{target} = {{\n\tactive count = 1\n\tpath = /Library/LaunchDaemons/x.plist\n\ttype = LaunchDaemon\n\tstate = {state}\n")
        if state == "running":
            print(f"\tpid = {pid}")
        print(f"\truns = {runs}\n\tlast exit code = 0\n}}")


main(*sys.argv[1:])
