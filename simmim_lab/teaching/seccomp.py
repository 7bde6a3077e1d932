"""The system calls that a sandbox forbids, as a filter for the kernel.

They would open a connection (also one from a virtual machine to its host, which needs no network), look into
another process, give rights in a new namespace, or keep memory where no process is seen to have it.
Numbers: asm/unistd.h. Filter: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import errno
import platform
import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_NUMBERS = {  # (x86_64, aarch64)
    "socket": (41, 198),
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
_CLONE, _CLONE3, _MMAP = (56, 220), (435, 435), (9, 222)
_NEW_USER, _SHARED, _ANONYMOUS = 0x10000000, 0x01, 0x20  # CLONE_NEWUSER, MAP_SHARED, MAP_ANONYMOUS
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|..., BPF_RET
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # SECCOMP_RET_*


def supported() -> bool:
    """Whether the numbers of this machine's processor are known."""
    return platform.machine() in _ARCHITECTURES


def filter_program() -> bytes:
    """The filter, as `bwrap --seccomp` reads it."""
    machine = list(_ARCHITECTURES).index(platform.machine())
    refuse = _step(_RETURN, _REFUSE | errno.EPERM)
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, _ARCHITECTURES[platform.machine()], 1, 0),
        _step(_RETURN, _KILL),  # calls of another kind of program, with other numbers
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, 0x40000000, 0, 1),  # x32: the same calls by other numbers
        refuse,
    ]
    for numbers in _NUMBERS.values():
        steps += [_step(_EQUAL, numbers[machine], 0, 1), refuse]
    # The flags of clone3 cannot be seen; told that there is none, the C library takes clone.
    steps += [_step(_EQUAL, _CLONE3[machine], 0, 1), _step(_RETURN, _REFUSE | errno.ENOSYS)]
    steps += [
        _step(_EQUAL, _CLONE[machine], 0, 3),
        _step(_LOAD, _ARGUMENTS),
        _step(_ANY_BIT, _NEW_USER, 0, 1),
        refuse,
    ]
    steps += [_step(_LOAD, _NUMBER), _step(_EQUAL, _MMAP[machine], 0, 4)]
    steps += [
        _step(_LOAD, _ARGUMENTS + 3 * 8),
        _step(_ANY_BIT, _SHARED, 0, 2),
        _step(_ANY_BIT, _ANONYMOUS, 0, 1),
        refuse,
    ]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
