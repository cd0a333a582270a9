/** @file contrasim.h  All of the library: what each header holds is said at its top. */
#ifndef CONTRASIM_CONTRASIM_H
#define CONTRASIM_CONTRASIM_H

#include "contrasim/bench.h"
#include "contrasim/context.h"
#include "contrasim/encoder.h"
#include "contrasim/knn.h"
#include "contrasim/measure.h"
#include "contrasim/native.h"
#include "contrasim/options.h"
#include "contrasim/probe.h"
#include "contrasim/reps.h"
#include "contrasim/results.h"
#include "contrasim/status.h"
#include "contrasim/sweep.h"
#include "contrasim/train.h"

#endif
