"""The system calls that a sandbox refuses, as a filter for the kernel.

They would open a connection (also from a virtual machine to its host, which needs no network), look into another
process, give rights in a new namespace, or keep memory where no process is seen to have it.
Numbers: asm/unistd.h. Filter: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import errno
import platform
import struct

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
REFUSED = {  # (x86_64, aarch64)
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
SOCKET, CLONE, CLONE3, MMAP = (41, 198), (56, 220), (435, 435), (9, 222)
AF_UNIX, CLONE_NEWUSER, MAP_SHARED, MAP_ANONYMOUS = 0x1, 0x10000000, 0x01, 0x20
X32 = 0x40000000  # the same calls by other numbers
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # where they are in struct seccomp_data; an argument has 8 bytes


def supported() -> bool:
    """Whether the numbers for this machine's processor are known."""
    return platform.machine() in ARCHITECTURES


def filter_program() -> bytes:
    """The filter, as `bwrap --seccomp` reads it."""
    machine = list(ARCHITECTURES).index(platform.machine())
    allow, kill = _return(0x7FFF0000), _return(0x80000000)  # SECCOMP_RET_*
    refuse, unknown = _return(0x00050000 | errno.EPERM), _return(0x00050000 | errno.ENOSYS)
    steps = [_load(ARCHITECTURE), _if_equal(ARCHITECTURES[platform.machine()], 1, 0), kill]
    steps += [_load(NUMBER), _if_at_least(X32, 0, 1), refuse]
    for numbers in REFUSED.values():
        steps += [_if_equal(numbers[machine], 0, 1), refuse]
    # The flags of clone3 cannot be seen here. Told that there is none, the C library takes clone.
    steps += [_if_equal(CLONE3[machine], 0, 1), unknown]
    steps += [_if_equal(SOCKET[machine], 0, 4), _load(ARGUMENTS), _if_equal(AF_UNIX, 1, 0), refuse, allow]
    steps += [_if_equal(CLONE[machine], 0, 4), _load(ARGUMENTS), _if_bits(CLONE_NEWUSER, 0, 1), refuse, allow]
    steps += [_if_equal(MMAP[machine], 0, 5), _load(ARGUMENTS + 3 * 8)]
    steps += [_if_bits(MAP_SHARED, 0, 2), _if_bits(MAP_ANONYMOUS, 0, 1), refuse, allow]
    return b"".join([*steps, allow])


# One step of a filter each (struct sock_filter). A condition leaves out so many steps if it holds, and if not.


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _if_equal(value: int, yes: int, no: int) -> bytes:
    return struct.pack("=HBBI", 0x15, yes, no, value)


def _if_at_least(value: int, yes: int, no: int) -> bytes:
    return struct.pack("=HBBI", 0x35, yes, no, value)


def _if_bits(value: int, yes: int, no: int) -> bytes:
    return struct.pack("=HBBI", 0x45, yes, no, value)


def _return(value: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, value)
