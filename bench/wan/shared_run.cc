#include "bench/wan/shared_run.h"

#include <new>
#include <sys/mman.h>

namespace epaxos::bench {

void Unmap::operator()(SharedRun* run) const {
  run->~SharedRun();
  ::munmap(run, sizeof(SharedRun));
}

SharedRunPointer make_shared_run() {
  void* const memory = ::mmap(nullptr, sizeof(SharedRun), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  return SharedRunPointer(new (memory) SharedRun);
}

}  // namespace epaxos::bench
