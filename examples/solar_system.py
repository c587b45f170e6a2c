"""How hard may the planets of the outer solar system be kicked? Thousands of perturbed orbits.

Jupiter, Saturn, Uranus and Neptune come from the data of the PyPI package `rebound`
(`bolide[examples]`). Task i kicks every planet's velocity by a random vector (1, 3, 10 or 20 % of
its speed), integrates the system with a symplectic integrator, and measures chaos by MEGNO: 2 for
regular motion, above 2 and growing for chaotic motion. The initial conditions are `put` once and
read by every task; results are taken as they come. Invariant: orbit i depends on the parameters
and on i only, so the serial run gives the same bits.

    python examples/solar_system.py                     2,000 orbits, all of them checked
    python examples/solar_system.py --orbits 20000 --check 500
"""

import argparse
import os
import random
import sys
import time

import numpy as np
import rebound

import bolide as ray
from bolide._progress import Progress

KICKS = (0.01, 0.03, 0.10, 0.20)  # of a planet's speed; orbit i gets KICKS[i % 4]
SEED = 20_260_101
CHAOTIC_ABOVE = 3.0
YEAR = 2 * np.pi  # rebound's unit of time is a year / 2 pi
COLUMNS = ("kick", "energy_error", "megno", "escaping", "neptune_x", "neptune_y")


def outer_solar_system():
    """Sun, Jupiter, Saturn, Uranus, Neptune: one row each of mass, position (au), velocity."""
    simulation = rebound.Simulation()
    try:
        from rebound import data  # up to rebound 4
    except ImportError:
        simulation.add("outersolarsystem")  # its place since rebound 5
    else:
        data.add_outer_solar_system(simulation)
    bodies = simulation.particles[:5]  # without Pluto, which only some versions have
    return np.array([[b.m, b.x, b.y, b.z, b.vx, b.vy, b.vz] for b in bodies])


def orbit(bodies, years, index):
    """Integrate the perturbed system number `index`; return an array as `COLUMNS` says."""
    rng = random.Random(SEED + index)
    kick = KICKS[index % len(KICKS)]
    simulation = rebound.Simulation()
    for number, (mass, x, y, z, vx, vy, vz) in enumerate(bodies.tolist()):
        if number > 0:
            size = kick * (vx * vx + vy * vy + vz * vz) ** 0.5 / 3**0.5
            vx, vy, vz = (v + size * rng.gauss(0.0, 1.0) for v in (vx, vy, vz))
        simulation.add(m=mass, x=x, y=y, z=z, vx=vx, vy=vy, vz=vz)
    simulation.move_to_com()
    simulation.integrator = "whfast"
    simulation.dt = 0.4 * YEAR  # a thirtieth of Jupiter's year
    simulation.init_megno(seed=1 + index)
    energy = simulation.energy()
    simulation.integrate(years * YEAR)
    error = abs((simulation.energy() - energy) / energy)
    planets = simulation.particles[1 : len(bodies)]
    escaping = sum(is_unbound(planet, simulation.particles[0]) for planet in planets)
    neptune = planets[-1]
    return np.array([kick, error, simulation.megno(), escaping, neptune.x, neptune.y])


def is_unbound(planet, sun):
    """Whether the planet moves fast enough to leave the sun for good (G = 1)."""
    distance = ((planet.x - sun.x) ** 2 + (planet.y - sun.y) ** 2 + (planet.z - sun.z) ** 2) ** 0.5
    speed2 = (planet.vx - sun.vx) ** 2 + (planet.vy - sun.vy) ** 2 + (planet.vz - sun.vz) ** 2
    return speed2 / 2 > (sun.m + planet.m) / distance


def run_parallel(bodies, years, count):
    """Every orbit as a task; results are stored in the order in which they become ready."""
    remote_orbit = ray.remote(orbit)
    bodies_ref = ray.put(bodies)
    results = np.empty((count, len(COLUMNS)))
    with Progress(count, "bolide") as bar:
        index_of = {remote_orbit.remote(bodies_ref, years, i): i for i in range(count)}
        pending = list(index_of)
        while pending:
            ready, pending = ray.wait(pending, num_returns=min(8, len(pending)))
            for ref in ready:
                results[index_of.pop(ref)] = ray.get(ref)
            bar.advance(len(ready))
    return results


def run_serial(bodies, years, indices):
    """The same orbits in this process, one after the other."""
    results = []
    with Progress(len(indices), "serial") as bar:
        for index in indices:
            results.append(orbit(bodies, years, index))
            bar.advance()
    return np.array(results)


def report(results, years):
    """One line for each size of kick."""
    print(f"\nAfter {years:,.0f} years, by size of the kick to every planet's velocity:")
    print(
        "  kick  orbits  energy error (median)  MEGNO (median)  chaotic  losing a planet"
        "  Neptune's spread"
    )
    for kick in KICKS:
        group = results[results[:, 0] == kick]
        if len(group) == 0:
            continue
        _, error, megno, escaping, x, y = group.T
        bound = escaping == 0
        chaotic = np.mean(~(megno <= CHAOTIC_ABOVE))  # close encounters may make MEGNO a NaN
        spread = np.hypot(x[bound].std(), y[bound].std()) if bound.any() else float("nan")
        print(
            f"  {kick:>4.0%}{len(group):>8,}{np.median(error):>23.1e}"
            f"{np.nanmedian(megno):>16.2f}{chaotic:>9.1%}{1 - bound.mean():>17.1%}"
            f"{spread:>15.1f} au"
        )


def main():
    """Run, check against the serial run, report. Exit code 1 if any bit differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orbits", type=int, default=2000)
    parser.add_argument("--years", type=float, default=1000.0)
    parser.add_argument(
        "--check", default="all", help="how many orbits to check serially, or 'all'"
    )
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.orbits < 1 or options.workers < 1 or options.years <= 0:
        parser.error("--orbits, --workers and --years have to be positive")
    if options.check != "all" and not options.check.isdecimal():
        parser.error(f"--check takes a number of orbits or 'all', not {options.check!r}")
    checked = options.orbits if options.check == "all" else min(int(options.check), options.orbits)

    bodies = outer_solar_system()
    print(
        f"{options.orbits:,} orbits of {options.years:,.0f} years,"
        f" {options.workers} worker processes"
    )
    started = time.perf_counter()
    ray.init(num_cpus=options.workers)
    results = run_parallel(bodies, options.years, options.orbits)
    ray.shutdown()
    parallel = time.perf_counter() - started
    report(results, options.years)

    sample = sorted(random.Random(SEED).sample(range(options.orbits), checked))
    if not sample:
        print("\nNot checked against a serial run.")
        return 0
    started = time.perf_counter()
    expected = run_serial(bodies, options.years, sample)
    serial = (time.perf_counter() - started) * options.orbits / len(sample)
    differing = sum(
        a.tobytes() != b.tobytes() for a, b in zip(results[sample], expected, strict=True)
    )
    how = "" if checked == options.orbits else f" (from {checked:,} orbits)"
    print(
        f"\nserial {serial:.2f} s{how}, bolide {parallel:.2f} s with its start:"
        f" {serial / parallel:.2f}x"
    )
    if differing:
        print(
            f"{differing:,} of {len(sample):,} orbits differ from the serial run.", file=sys.stderr
        )
        return 1
    print(
        f"{len(sample):,} of {options.orbits:,} orbits checked:"
        " equal to the serial run, bit for bit."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
