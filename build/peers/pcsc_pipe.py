#!/usr/bin/env python3
"""A PC/SC reader on a pipe, by pyscard. Usage: pcsc_pipe.py READER

Each line of standard input is answered by one of standard output: `cold` (power off and on) and `warm` (reset) by the
answer to reset, the hexadecimal digits of a T=0 TPDU by those of the answer, as the reader gives them."""
import sys

from smartcard.scard import (
    SCARD_PCI_T0,
    SCARD_PROTOCOL_T0,
    SCARD_RESET_CARD,
    SCARD_S_SUCCESS,
    SCARD_SCOPE_USER,
    SCARD_SHARE_EXCLUSIVE,
    SCARD_UNPOWER_CARD,
    SCardConnect,
    SCardEstablishContext,
    SCardGetErrorMessage,
    SCardReconnect,
    SCardStatus,
    SCardTransmit,
)


def demand(answer):
    if answer[0] != SCARD_S_SUCCESS:
        raise SystemExit(SCardGetErrorMessage(answer[0]))
    return answer[1:]


def main():
    (context,) = demand(SCardEstablishContext(SCARD_SCOPE_USER))
    card, _ = demand(SCardConnect(context, sys.argv[1], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0))
    resets = {"cold": SCARD_UNPOWER_CARD, "warm": SCARD_RESET_CARD}
    for line in sys.stdin:
        line = line.strip()
        if line in resets:
            demand(SCardReconnect(card, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0, resets[line]))
            answer = demand(SCardStatus(card))[3]
        else:
            (answer,) = demand(SCardTransmit(card, SCARD_PCI_T0, list(bytes.fromhex(line))))
        print(bytes(byte & 0xFF for byte in answer).hex(), flush=True)


main()
