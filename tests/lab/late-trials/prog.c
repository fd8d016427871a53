#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <setjmp.h>
#include <unistd.h>
#include <sys/wait.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <stdint.h>
#include <cpuid.h>
#include <time.h>
static sigjmp_buf env; static volatile int got;
static void h(int s){got=s;siglongjmp(env,1);}
#define TRY(name, code) do{ got=0; if(!sigsetjmp(env,1)){code;} printf("%s: signal %d\n",name,got);}while(0)
static uint64_t tsc(void){return __builtin_ia32_rdtsc();}
int main(int c,char**v){
  unsigned a,b,cx,d; char n[13]={0};
  signal(SIGILL,h);signal(SIGSEGV,h);
  __cpuid(1,a,b,cx,d); printf("hypervisor %u vmx %u osxsave %u",cx>>31,cx>>5&1,cx>>27&1);
  __cpuid(0x40000000,a,b,cx,d); memcpy(n,&b,4);memcpy(n+4,&cx,4);memcpy(n+8,&d,4); 
  unsigned one; __cpuid(1,a,b,one,d); printf(" name %s\n", one>>31? n:"-");
  if(c>1&&!strcmp(v[1],"hostile")){
    TRY("vmcall",asm volatile("vmcall"));
    TRY("vmxoff",asm volatile("vmxoff"));
    TRY("vmlaunch",asm volatile("vmlaunch"));
    TRY("vmfunc",asm volatile(".byte 0x0f,0x01,0xd4"));
    TRY("xsetbv",asm volatile("xsetbv"::"a"(7),"d"(0),"c"(0)));
    TRY("getsec",asm volatile(".byte 0x0f,0x37"::"a"(0)));
    TRY("invd",asm volatile("invd"));
    uint64_t t=tsc(); for(int i=0;i<20000;i++){__cpuid(1,a,b,cx,d);} printf("20000 cpuid: %lu ticks each\n",(tsc()-t)/20000);
    /* single step over cpuid */
    pid_t p=fork();
    if(!p){ptrace(PTRACE_TRACEME,0,0,0);raise(SIGSTOP);
      asm volatile("nop\ncpuid\nnop\nnop":"=a"(a),"=b"(b),"=c"(cx),"=d"(d):"a"(0),"c"(0)); _exit(0);}
    int st; waitpid(p,&st,0); int steps=0,skipped=0; struct user_regs_struct r; int was=0;
    while(1){ ptrace(PTRACE_GETREGS,p,0,&r); long w=ptrace(PTRACE_PEEKTEXT,p,(void*)r.rip,0);
      if(was&&((w&0xff)!=0x90||r.rip!=(unsigned long)was))skipped++;
      was=(w&0xffff)==0xa20f? (int)(r.rip+2):0;
      ptrace(PTRACE_SINGLESTEP,p,0,0); waitpid(p,&st,0); if(WIFEXITED(st))break; steps++; if(steps>5000)break;}
    printf("single steps %d, wrong after cpuid %d\n",steps>0,skipped);
  }
  if(c>2&&!strcmp(v[1],"fork")){int N=atoi(v[2]);uint64_t t=tsc();for(int i=0;i<N;i++){pid_t p=fork();if(!p){char*m=mmap(0,65536,3,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);for(int j=0;j<65536;j+=4096)m[j]=1;_exit(0);}int s;waitpid(p,&s,0);}printf("%d forks %lu ticks each\n",N,(tsc()-t)/N);}
  if(c>2&&!strcmp(v[1],"fpu")){int N=atoi(v[2]);double x=1;for(int k=0;k<2;k++)fork();for(int i=1;i<N;i++)x+=1.0/i/i;printf("fpu %.12f\n",x);while(wait(0)>0);}
  if(c>2&&!strcmp(v[1],"pipe")){int N=atoi(v[2]);int p[2],q[2];pipe(p);pipe(q);char ch=0;if(!fork()){while(read(p[0],&ch,1)==1){if(ch==1)_exit(0);write(q[1],&ch,1);}_exit(0);}uint64_t t=tsc();for(int i=0;i<N;i++){ch=0;write(p[1],&ch,1);read(q[0],&ch,1);}printf("%d pings %lu ticks each\n",N,(tsc()-t)/N);ch=1;write(p[1],&ch,1);}
  if(c>1&&!strcmp(v[1],"leave")){__cpuid(0x12345678,a,b,cx,d);printf("survived\n");}
  if(c>2&&!strcmp(v[1],"flood")){time_t e=time(0)+atoi(v[2]);unsigned long n=0;while(time(0)<e)for(int i=0;i<1000;i++){__cpuid(0,a,b,cx,d);n++;}printf("flood %lu\n",n);}
  return 0;}
