"""Strikes units, and starts them again, as a storm and an init system do."""

import time
from collections.abc import Sequence

from bench.storm.blows import Blow, Chance, Strike
from bench.storm.record import Moment, What
from bench.storm.units import Host, Unit

LOOK = 0.2  # seconds
_PAUSE = 2.0  # seconds until what has ended by itself is started again
_START = 120.0  # seconds in which everything has to be up at first


class Supervisor:
    def __init__(self, units: Sequence[Unit], chance: Chance) -> None:
        self._units = {unit.name: unit for unit in units}
        self._chance = chance
        self._due: dict[str, float] = {}  # of those that are away: when they are back
        self._paused: set[str] = set()
        self._starting: set[str] = set()
        self.moments: list[Moment] = []

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(self._units.values())

    def start(self, unit: Unit) -> None:
        unit.start()
        self._starting.add(unit.name)
        self._note(unit.name, What.STARTED)

    def wait_until_ready(self) -> None:
        deadline = time.time() + _START
        while self._starting or self._due:
            assert time.time() < deadline, f"not up: {self._starting}, {self._due}"
            self.look()

    def rage(self, seconds: float) -> None:
        """Strike for so long, then let everything come back."""
        end = time.time() + seconds
        strikes_at = time.time() + self._chance.wait()
        while time.time() < end:
            if time.time() >= strikes_at:
                self._strike()
                strikes_at = time.time() + self._chance.wait()
            self.look()
        self._due = dict.fromkeys(self._due, 0.0)
        self.wait_until_ready()

    def look(self) -> None:
        """Take a moment to start again what was struck long enough ago, or has ended by itself."""
        time.sleep(LOOK)
        for unit in self._units.values():
            self._look_at(unit)

    def _strike(self) -> None:
        up = [
            (unit.name, unit.role)
            for unit in self._units.values()
            if unit.name not in self._due and unit.name not in self._starting
        ]
        strike = self._chance.strike(up)
        if strike is not None:
            self._carry_out(strike)

    def _carry_out(self, strike: Strike) -> None:
        self._note(strike.victim, What.STRUCK, strike.blow)
        self._units[strike.victim].strike(strike.blow)
        if strike.blow is Blow.PAUSE:
            self._paused.add(strike.victim)
        if strike.blow is not Blow.RECEIVER:
            self._due[strike.victim] = time.time() + strike.away

    def _look_at(self, unit: Unit) -> None:
        name = unit.name
        if name in self._due:
            if time.time() >= self._due[name]:
                del self._due[name]
                self._bring_back(unit)
        elif (status := unit.ended) is not None:
            unit.reap()
            self._starting.discard(name)
            self._due[name] = time.time() + _PAUSE
            self._note(name, What.ENDED, f"status {status}")
        elif name in self._starting and unit.ready:
            self._starting.remove(name)
            self._note(name, What.READY)

    def _bring_back(self, unit: Unit) -> None:
        if isinstance(unit, Host) and unit.name in self._paused:
            self._paused.remove(unit.name)
            unit.go_on()
            self._note(unit.name, What.GOES_ON)
        else:
            self.start(unit)

    def _note(self, name: str, what: What, detail: str = "") -> None:
        self.moments.append(Moment(time.time(), name, what, detail))
