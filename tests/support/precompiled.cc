// A library has a source; what this one is for are its precompiled headers.
