cpdef unsigned long current_thread()
