// How threads wait for each other at the end of a parallel loop. The OpenMP runtime spins by default, which costs
// milliseconds per loop as soon as another program wants the same cores; sleeping costs microseconds. It reads its
// setting while the program is loaded, so a program that wants another one has to start again.
#pragma once

namespace kernels {

/// To be called first in main: unless the user chose a waiting policy (OMP_WAIT_POLICY or GOMP_SPINCOUNT), sets the
/// sleeping one and replaces the process by a new start of itself with the same arguments. Returns when the policy
/// stands, or when the program cannot be started again (it then runs with the default). No threads may exist and
/// nothing may be open yet.
void sleep_while_waiting(char** arguments);

}  // namespace kernels
