import sys,os,time
sys.path[:0]=['./tools','./tests/lab']
os.environ.setdefault('PYTHONDONTWRITEBYTECODE','1')
from pathlib import Path
from lab import bochs,build,kernels
from lab.common import ROOT
import host_builds
import argparse
p=argparse.ArgumentParser();p.add_argument('--kernel',default='oldest');p.add_argument('--cpus',type=int,default=1);p.add_argument('--cpu',default=bochs.Machine.__dataclass_fields__['cpu'].default);p.add_argument('--limit',type=float,default=240);p.add_argument('--kvm',action='store_true');p.add_argument('--steps',default='11');p.add_argument('--cmdline',default='');p.add_argument('--alter',action='store_true');p.add_argument('script')
a=p.parse_args()
step=[f for f in ROOT.iterdir() if f.name[:6] in ['step'+n for n in a.steps.split(',')]]
folder=bochs.boot_folder('late')
build.build(a.kernel,step,True,collect=folder/'modules')
files={f'lab/modules/{m.name}':m for m in (folder/'modules').iterdir()}
files['lab/bin/prog']=Path('tests/lab/late-trials/prog')
files['lab/modules/snapshot.ko']=host_builds.kernel_module('snapshot',a.kernel)
if a.kvm:
    for n in ('irqbypass','kvm','kvm-intel'):
        q=folder/f'{n}.ko'; q.write_bytes(kernels.module_file(a.kernel,n)); files[f'lab/modules/{n}.ko']=q
if a.alter:
    files['lab/modules/altered.ko']=host_builds.altered_step('leave','11',a.kernel,('guest_cpuid.hpp','    const CpuidResult result =','    if (leaf == 0x12345678 && exit.processor.state == Processor::State::guest)\n        return exit.give_up(leaf);\n    const CpuidResult result ='))
DRIVER='''
echo 1 >/sys/kernel/rcu_expedited
stty -F /dev/ttyS1 115200 raw -echo
exec 5>/dev/ttyS1
export PATH=/lab/bin:$PATH M=/lab/modules D=/sys/kernel/debug
ins() { m=$1; shift; insmod /lab/modules/$m.ko "$@"; }
. /lab/test >&5 2>&1 </dev/null
echo "@@END $?" >&5
echo "@@END" >/dev/kmsg
'''
kw={}
if a.cmdline: kw['command_line']=a.cmdline
m=bochs.Machine(a.kernel,a.cpu,a.cpus,**kw)
b=bochs.Boot(folder,m,{**files,'lab/scenario':DRIVER,'lab/test':Path(a.script).read_text()})
t=time.time()
ready=[0]
def con(l):
    if '@@READY' in l: ready[0]=b.age()
    if ready[0] or 'BUG' in l or 'WARN' in l: print('K',l,flush=True)
def res(l): print('  ',l,flush=True)
class Hung(Exception): pass
def tick():
    if ready[0] and b.age()-ready[0]>a.limit: raise Hung
try:
    o=b.run(on_console=con,on_result=res,tick=tick); print(o)
except Hung: print('HUNG')
print('seconds',time.time()-t,folder)
