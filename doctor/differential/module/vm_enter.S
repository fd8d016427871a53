/* SPDX-License-Identifier: GPL-2.0-only */
#include "../../../step04-launch/vm_enter.S"
