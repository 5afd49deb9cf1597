// SPDX-License-Identifier: MIT
// Epoch reclamation (read-copy-update, McKenney and Slingwine 1998): tables that every CPU reads are read without a lock and without
// writing to memory that others read.
//
//        reader, any number at once             remover, after it has made the object unreachable
//        R1  EpochGuard: preemption off         D1  take it out of the table (an atomic store)
//        R2  load the pointer (acquire)         D2  wait_for_readers()
//        R3  use the object                     D3  give it back: its memory, or the table's reference to it
//        R4  end of the guard
//
// A reader who found the object came to R2 before D1 took effect, so he was inside his section when D2 began, or out of it already.
// D2 ends when each CPU has been seen outside of any section since it began: then he is out, and those who come later do not find
// the object. A CPU is asked by an interrupt: the section is a stretch of code with preemption off, so if what was
// interrupted had preemption on, no section was open there, nor was one if an idle CPU polled. (The interrupt and its acknowledgement order the memory accesses of
// both sides.) Who must keep an object longer takes a reference to it before R4, which is safe as the table's is still there.
//
// The price is the remover's: an interrupt to each other CPU. So this is for what is looked up far more often than it is removed.
#pragma once
#include "kernel/core/context.hpp"

namespace hd::sync {

// A reader's section. Short, and must not sleep; spinlocks may be taken inside. Any context but NMI.
using EpochGuard = core::PreemptGuard;

// Returns when all sections are over that are open now. Task context, no spinlock held, not in a section; may sleep.
void wait_for_readers();

}  // namespace hd::sync
