"""A sweep that is killed again and again, and goes on: ranks, the launcher or all of them, at
random moments, with any number of ranks. The result is that of a sweep left alone, bit by bit.

test_resume_kills.py [--kills N] [--seed S] [--most RANKS]"""
import argparse
import collections
import os
import random
import re
import shutil
import signal
import sys
import time

import resume_case as case

OUTPUT = "killed.nc"
JOURNAL = OUTPUT + ".journal"
PLAIN = "undisturbed.nc"
MOMENTS = ("clock", "clock", "growth", "growth", "growth", "end", "end", "start")
VICTIMS = ("rank",) * 6 + ("launcher", "launcher", "all", "ranks", "terminate", "ask")


class Failure(AssertionError):
    """What a sweep that was killed must not come to."""


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=4, help="ranks")
    return parser.parse_args(words)


class Killer:
    def __init__(self, options):
        self.rng = random.Random(options.seed)
        self.ranks = [None] + list(range(1, options.most + 1))
        self.seen = collections.Counter()
        self.story = []  # what happened to the output at hand
        self.seconds, self.sizes = {}, [0]

    def measure(self):
        """Sweeps left alone: how long they take, that they agree, and how their journals grow."""
        for ranks in self.ranks:
            case.remove(OUTPUT)
            run = self.start(ranks, low=False)
            sizes = set()
            while run.running():
                sizes.add(case.size(JOURNAL))
                time.sleep(0.002)
            self.finish(run, 0)
            self.seconds[ranks] = run.seconds
            self.sizes = max(self.sizes, sorted(sizes), key=len)
            self.check_done()
            if not os.path.exists(PLAIN):
                # without a journal: the reference owes nothing to what is tested
                done = case.sweep(case.LARGE, PLAIN)
                assert done.returncode == 0, done.text
                self.check_same()
        if len(self.sizes) < 10:
            raise Failure(f"the journal was seen to grow to {self.sizes}: expected many records")

    def start(self, ranks, low):
        words = ["sweep", *case.LARGE, "-o", OUTPUT, "--resume"]
        return case.Run([*words, *(case.LOW[case.LARGE] if low else ())], ranks)

    # -- what must hold -------------------------------------------------------------------------

    def fail(self, text, run=None):
        keep = f"failed.{os.getpid()}"
        os.makedirs(keep, exist_ok=True)
        for name in os.listdir("."):
            if name.startswith(OUTPUT):
                shutil.copy(name, keep)
        story = "\n  ".join(self.story)
        raise Failure(f"{text}\nfiles in {os.path.abspath(keep)}\nstory of this output:\n  {story}"
                      f"\n{run.text if run is not None else ''}")

    def check_same(self, run=None):
        different = case.differences(OUTPUT, PLAIN)
        if different:
            self.fail(f"{OUTPUT} differs from an undisturbed one in {different}", run)

    def check_done(self, run=None):
        if not os.path.exists(OUTPUT):
            self.fail(f"exit 0 and no {OUTPUT}", run)
        if os.path.exists(PLAIN):
            self.check_same(run)
        if case.leftovers(OUTPUT):
            self.fail(f"left behind: {case.leftovers(OUTPUT)}", run)

    def finish(self, run, *codes):
        try:
            run.end()
            run.gone()
        except case.Hang as hang:
            self.fail(str(hang))
        finally:
            run.close()
        if codes and run.returncode not in codes:
            self.fail(f"exit {run.returncode}, expected {codes}", run)

    # -- deaths ---------------------------------------------------------------------------------

    def wait(self, run, moment):
        """Until the moment has come, or the run is over."""
        rng, ranks = self.rng, run.ranks
        if moment == "start":
            time.sleep(rng.uniform(0, 0.5 * self.seconds[ranks]))
            return
        run.wait_for_ranks()
        if moment == "clock":
            time.sleep(rng.uniform(0, self.seconds[ranks]))
        elif moment == "growth":
            # at once when the journal has grown: a rank may be in the midst of the next record
            begin, steps = case.size(JOURNAL), rng.randint(1, len(self.sizes) // 3)
            for _ in range(steps):
                case.wait_for(lambda: case.size(JOURNAL) != begin or not run.running(), step=0)
                begin = case.size(JOURNAL)
            time.sleep(rng.choice((0, 0, rng.uniform(0, 0.003))))
        elif moment == "end":
            # the results are being written, named, and the journal is taken away
            def near():
                if case.size(JOURNAL) < 0.9 * self.sizes[-1] and run.running():
                    time.sleep(0.002)
                    return False
                names = set(os.listdir("."))
                return (OUTPUT in names or JOURNAL not in names or not run.running() or
                        any(n.startswith(OUTPUT + ".partial") for n in names))
            case.wait_for(near, seconds=30, step=0)
            time.sleep(rng.choice((0, rng.uniform(0, 0.003), rng.uniform(0, 0.03))))

    def strike(self, run, victim):
        """Whether somebody was hit."""
        pids = run.pids()
        if not run.running() or (not pids and victim not in ("launcher", "all")):
            return False
        launcher = run.process.pid
        if victim in ("rank", "launcher") and run.ranks is None:
            victim = "all"
        if victim == "rank":
            case.kill([self.rng.choice(pids)])
        elif victim == "launcher":
            case.kill([launcher])
        elif victim == "ranks":
            case.kill(pids)
        elif victim == "all":
            case.kill([launcher, *pids])
        else:
            number = signal.SIGTERM if victim == "terminate" else signal.SIGUSR1
            case.kill([self.rng.choice(pids)], number)
        return True

    def once(self):
        """One run that is struck, or comes to its end before. Whether it was struck."""
        rng = self.rng
        ranks, moment, victim = rng.choice(self.ranks), rng.choice(MOMENTS), rng.choice(VICTIMS)
        low = rng.random() < 0.3
        had = case.read(JOURNAL) if os.path.exists(JOURNAL) else b""
        run = self.start(ranks, low)
        self.wait(run, moment)
        hit = self.strike(run, victim)
        word = f"ranks {ranks}, {moment}, {victim}, low memory {low}, journal of {len(had)} bytes"
        self.story.append(f"{word}: {'hit' if hit else 'over'} after "
                          f"{time.monotonic() - run.began:.3f} s")
        if hit and victim not in ("terminate", "ask") and rng.random() < 0.5:
            # the next run starts while ranks of this one may still die
            try:
                run.end()
            except case.Hang as hang:
                self.fail(str(hang))
            finally:
                run.close()
        else:
            self.finish(run)
        self.check(run, hit, victim, had)
        if hit:
            self.seen.update((victim, moment, f"ranks {ranks}"))
            self.seen["with work saved"] += len(had) > 0
        return hit

    def check(self, run, hit, victim, had):
        code = run.returncode
        self.story[-1] += f", exit {code}"
        if code == 0:
            self.check_done(run)
        elif not hit:
            self.fail(f"exit {code} of a run that was left alone", run)
        elif victim in ("terminate", "ask") and code == 85:
            if os.path.exists(OUTPUT):
                self.fail(f"exit 85 and {OUTPUT} is there", run)
            if "--resume" not in run.stderr:
                self.fail("exit 85 without a word on --resume", run)
        if os.path.exists(OUTPUT):
            self.check_same(run)  # whole or not there
        elif re.search(r"[1-9]\d* pairs were saved", run.stderr):
            now = case.read(JOURNAL) if os.path.exists(JOURNAL) else b""
            # what was saved stays, but for a torn record at the end
            torn = max((b - a for a, b in zip(self.sizes, self.sizes[1:])), default=0)
            if now[:max(0, len(had) - torn)] != had[:max(0, len(had) - torn)]:
                self.fail(f"of a journal of {len(had)} bytes, {len(now)} remain", run)

    def whole(self, most):
        """One output: struck up to so many times, then left to its end."""
        case.remove(OUTPUT)
        self.story = []
        struck = 0
        while struck < most:
            struck += self.once()
            if os.path.exists(OUTPUT) and not case.leftovers(OUTPUT):
                self.seen["ended by itself"] += 1
                return struck
        ranks = self.rng.choice(self.ranks)
        self.story.append(f"ranks {ranks}, left alone")
        run = self.start(ranks, low=False)
        self.finish(run, 0)
        self.check_done(run)
        return struck


def main():
    options = parse(sys.argv[1:])
    case.write_sets()
    killer = Killer(options)
    killer.measure()
    print(f"undisturbed: {killer.seconds} s, the journal grows in {len(killer.sizes)} steps to "
          f"{killer.sizes[-1]} bytes", flush=True)
    kills = outputs = 0
    while kills < options.kills:
        kills += killer.whole(min(killer.rng.randint(1, 8), options.kills - kills))
        outputs += 1
        print(f"{kills} of {options.kills}, {outputs} outputs", flush=True)
    print(f"{kills} kills, {outputs} outputs, all the same bits: {dict(killer.seen)}")
    if killer.seen["with work saved"] < kills // 4:
        raise Failure("too few kills with work saved: nothing was shown")


if __name__ == "__main__":
    main()
