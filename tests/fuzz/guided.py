"""Coverage-guided fuzzing of one target, until the time is over: python -m fuzz.guided TARGET …

What follows the target's name goes to libFuzzer, which atheris wraps.
"""

from __future__ import annotations

import sys

import atheris

# Besides gslb, what does the reading; the packet target's dnspython is only the oracle.
INSTRUMENTED = {
    "packet": ["gslb"],
    "zone": ["gslb", "dns.zonefile", "dns.tokenizer", "dns.rdata", "dns.rdtypes", "dns.name"],
    "yaml": ["gslb", "yaml"],
}
# The server's own 65 536 records are a second of work, for every input that finds $GENERATE.
MAX_GENERATED = 512


def main() -> None:
    """Fuzz; a crash ends the process with its input in libFuzzer's `-artifact_prefix`."""
    name, *rest = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED[name]):
        from gslb.config import zonefile

        from fuzz.target import target, words

        fuzzed = target(name)
    zonefile.MAX_GENERATED = MAX_GENERATED
    options = [f"-dict={words(name)}", f"-max_len={fuzzed.LONGEST}"]
    atheris.Setup([sys.argv[0], *options, *rest], fuzzed.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
